"""The odd checkpoints that are refused."""

from tests.oddities.changes import (
    added,
    as_class,
    as_classifier,
    base_only,
    both,
    classifier_of,
    config,
    decoder_labelled,
    entries,
    labelled,
    one_segment,
    part,
    pickled,
    renamed,
    sharded,
    token_renamed,
    tokenizer_code,
    without,
    write,
)
from tests.oddities.odd import Odd
from tests.oddities.sentence_transformers_files import (
    CHAT_TEMPLATE,
    PAIR_TEMPLATE,
    cross_encoder,
    module_of,
    pooled,
    template,
    without_module,
)
from tests.tiny_checkpoints import JINA, MODULAR

PROCESSOR = "processor_config.json"

REFUSED = [
    Odd("no head: a base model under a reranker's name", "bert", base_only, "missing: classifier.bias, classifier.weight."),
    Odd(
        "no head: the head's two tensors left out",
        "roberta",
        without("classifier.out_proj"),
        "missing: classifier.out_proj.bias, classifier.out_proj.weight.",
    ),
    Odd("no head", "llama_bidirec", without("score."), "missing: score.weight."),
    *(
        Odd(
            "no head of its own, though it is not tied",
            family,
            both(config(tie_word_embeddings=False), without("lm_head.")),
            "missing: lm_head.weight.",
        )
        for family in ("qwen3", "gemma")
    ),
    Odd(
        "a head for two labels where one is named",
        "bert",
        added(classifier__weight=(2, 48)),
        "of another shape: classifier.weight [2, 48] instead of [1, 48]",
    ),
    Odd("weights by its author's own names", "xlm-roberta", renamed(attention="mixer"), "missing: roberta.encoder.layer.0.attention."),
    Odd("fewer layers in config.json than in the weights", "electra", config(num_hidden_layers=1), "unused: electra.encoder.layer.1."),
    Odd("more layers in config.json than in the weights", "distilbert", config(n_layers=3), "missing: distilbert.transformer.layer.2."),
    Odd(
        "a gate that no transformers class has",
        "bert",
        added(bert__encoder__layer__0__gate__weight=(48,)),
        "unused: bert.encoder.layer.0.gate.weight.",
    ),
    Odd(
        "an index that names a file which is not there",
        "bert",
        both(sharded, lambda folder: min(folder.glob("model-*")).unlink()),
        "model-00001-of-00002.safetensors",
    ),
    Odd("weights as pytorch_model.bin only", "bert", pickled, "has its weights as pytorch_model.bin only"),
    Odd("quantised weights", "qwen3", config(quantization_config={"quant_method": "gptq", "bits": 4}), "has quantised weights"),
    Odd(
        "an adapter beside the base model",
        "bert",
        lambda folder: write(folder, "adapter_config.json", {"peft_type": "LORA"}),
        "holds an adapter",
    ),
    Odd(
        "`architectures: JinaBertForSequenceClassification`",
        "bert",
        config(architectures=["JinaBertForSequenceClassification"]),
        "JinaBertForSequenceClassification",
    ),
    Odd("`architectures: BertForMaskedLM`", "bert", config(architectures=["BertForMaskedLM"]), "BertForMaskedLM"),
    Odd("no `architectures`", "deberta-v2", config("architectures"), "names no architecture"),
    Odd(
        "`architectures: LlamaForSequenceClassification`, which is causal",
        "llama_bidirec",
        config(architectures=["LlamaForSequenceClassification"]),
        "LlamaForSequenceClassification",
    ),
    Odd("an unknown `model_type`", "bert", config(model_type="t5"), "'t5'; known are bert, "),
    Odd(
        "`auto_map` to its author's code",
        "xlm-roberta",
        config(auto_map={"AutoModel": "modeling.XLMRobertaFlash"}),
        "code of its own (auto_map in config.json)",
    ),
    Odd("a tokenizer by its author's code", "bert", tokenizer_code, "code of its own (auto_map in tokenizer_config.json)"),
    Odd("`position_embedding_type: alibi`", "bert", config(position_embedding_type="alibi"), "position_embedding_type 'alibi'"),
    Odd(
        "`position_embedding_type: relative_key`",
        "electra",
        config(position_embedding_type="relative_key"),
        "position_embedding_type 'relative_key'",
    ),
    Odd("`is_decoder: true`", "roberta", config(is_decoder=True), "the same score for every pair"),
    Odd("an unknown `hidden_act`", "bert", config(hidden_act="swiglu"), "'swiglu'"),
    Odd("one segment in the model, two in the tokenizer", "bert", one_segment, "they do not belong together"),
    Odd("two labels without meaning", "bert", labelled("LABEL_0", "LABEL_1"), "which of them means relevant is not plain"),
    Odd(
        "two labels without meaning", "mistral_bidirec", decoder_labelled("LABEL_0", "LABEL_1"), "which of them means relevant is not plain"
    ),
    Odd("three labels", "distilbert", labelled("contradiction", "neutral", "entailment"), "has 3 labels"),
    Odd(
        "a prompt of sentence-transformers",
        "gemma",
        cross_encoder(prompts={"rerank": "Rank: "}, default_prompt_name="rerank"),
        "puts the prompt 'rerank' before each pair",
    ),
    Odd(
        "`Qwen2ForSequenceClassification`, its prompt unknown",
        "qwen2",
        classifier_of("Qwen2"),
        "the prompt that it was trained with is not known",
    ),
    Odd("no word of sentence-transformers", "llama", config("sentence_transformers"), "the prompt that it was trained with is not known"),
    Odd("`LlamaForCausalLM`, its answers unknown", "llama", as_class("LlamaForCausalLM"), "the words of its answers are not known"),
    *(
        Odd(what, "new", change, refused)
        for what, change, refused in (
            ("learned positions", config(position_embedding_type="absolute"), "says position_embedding_type 'absolute'"),
            ("another norm", config(layer_norm_type="rms_norm"), "says layer_norm_type 'rms_norm'"),
            ("attention scaled by length", config(logn_attention_scale=True), "says logn_attention_scale True"),
            ("another scaling of positions", config(rope_scaling={"type": "dynamic", "factor": 2.0}), "known is the type 'ntk'"),
            ("mixed scaling of positions", config(rope_scaling={"type": "ntk", "factor": 8.0, "mixed_b": 0.3}), "no mixed_b"),
            ("no pooler", without("new.pooler."), "missing: gte.pooler.dense.bias, gte.pooler.dense.weight."),
            ("a layer more than in config.json", config(num_hidden_layers=1), "unused: new.encoder.layer.1."),
            ("`architectures: NewModel`", config(architectures=["NewModel"]), "NewModel"),
        )
    ),
    *(
        Odd(what, JINA, change, refused)
        for what, change, refused in (
            ("rotary positions", config(position_embedding_type="rotary"), "says position_embedding_type 'rotary'"),
            ("an approximate activation", config(hidden_act="gelu_new"), "says hidden_act 'gelu_new'"),
            ("adapters", config(lora_adaptations=["retrieval"]), "says lora_adaptations ['retrieval']"),
            ("no head", without("classifier.dense"), "missing: classifier.dense.bias, classifier.dense.weight."),
            ("a tokenizer by its author's code", tokenizer_code, "code of its own (auto_map in tokenizer_config.json)"),
        )
    ),
    Odd(
        "a chat template that sentence-transformers uses",
        "bert",
        both(cross_encoder(), template(PAIR_TEMPLATE)),
        "puts pairs into a chat template",
    ),
    Odd("another pooling of sentence-transformers", MODULAR, pooled("weightedmean"), "pools by weightedmean"),
    Odd("two poolings at once", MODULAR, pooled(["cls", "mean"]), "pools by cls, mean"),
    Odd("no last dense layer", MODULAR, without_module(4), "its last module is no dense layer"),
    Odd(
        "a sigmoid in the last dense layer",
        MODULAR,
        entries("4_Dense/config.json", activation_function="torch.nn.modules.activation.Sigmoid"),
        "gives 1 scores by Sigmoid",
    ),
    Odd("a dense layer that adds its input", MODULAR, entries("2_Dense/config.json", use_residual=True), "a dense layer that is not known"),
    Odd("a module by its author", MODULAR, module_of(3, "modeling.LayerNorm"), "a module modeling.LayerNorm is not known"),
    Odd(
        "a dense layer without its weights",
        MODULAR,
        lambda folder: (folder / "2_Dense" / "model.safetensors").unlink(),
        "2_Dense has no weights",
    ),
    Odd("a dense layer with a bias too many", MODULAR, entries("2_Dense/config.json", bias=True), "missing: linear.bias."),
    Odd("an encoder with a head, under modules", MODULAR, config(architectures=["ModernBertForSequenceClassification"]), "ModernBertModel"),
    Odd("`architectures: JinaForRanking` (jina-reranker-v3)", "qwen3", config(architectures=["JinaForRanking"]), "JinaForRanking"),
    Odd("`Gemma2ForCausalLM`", "gemma2", config(architectures=["Gemma2ForCausalLM"]), "Gemma2ForCausalLM"),
    Odd("two labels without meaning", "gemma3_text", config(id2label={"0": "LABEL_0", "1": "LABEL_1"}), "instead of"),
    Odd("an unknown pooling", "llama_bidirec", config(pooling="max"), "pools by 'max'"),
    Odd("a temperature of 0", "llama_bidirec", config(temperature=0), "temperature 0:"),
    Odd("`Qwen3ForSequenceClassification`, its prompt unknown", "qwen3", as_classifier, "the prompt that it was trained with is not known"),
    Odd(
        "`Qwen3ForSequenceClassification` with a chat template for conversations",
        "qwen3",
        both(as_classifier, template(CHAT_TEMPLATE)),
        "is not known",
    ),
    Odd(
        "a chat template that trims the texts", "qwen3", template(PAIR_TEMPLATE.replace("first }}", "first | trim }}")), "changes the texts"
    ),
    Odd(
        "a chat template that puts the document first",
        "qwen3",
        template(PAIR_TEMPLATE.replace('"query"', '"q"').replace('"document"', '"query"').replace('"q"', '"document"')),
        "the query once and then the document once",
    ),
    *(
        Odd(what, "llama_nemotron_vl_rerank", change, refused)
        for what, change, refused in (
            ("`architectures: LlamaNemotronVLModel`", config(architectures=["LlamaNemotronVLModel"]), "LlamaNemotronVLModel"),
            ("a vision model of another type", part("vision_config", model_type="clip_vision_model"), "of type 'clip_vision_model'"),
            ("a language model of another type", part("llm_config", model_type="llama"), "a llm_config of type 'llama'"),
            ("a causal language model", part("llm_config", architectures=["LlamaForCausalLM"]), "language model 'LlamaForCausalLM'"),
            ("`bidirectional_attention: false`", config(bidirectional_attention=False), "bidirectional_attention false"),
            ("an unknown prompt template", config(prompt_template="v2"), "prompt_template 'v2'"),
            ("prompt templates that differ", entries(PROCESSOR, prompt_template="v0"), "prompt_template 'v0'"),
            ("pooling left out of config.json", config("pooling"), "has no pooling, for which no default is assumed"),
            ("`pooling: last`", config(pooling="last"), "pooling 'last'"),
            ("`ps_version: v1`", config(ps_version="v1"), "ps_version 'v1'"),
            ("`dynamic_image_size: false`", config(dynamic_image_size=False), "dynamic_image_size False"),
            ("a `select_layer` that is not there", config(select_layer=-4), "select_layer -4"),
            ("tiles of another size than the vision model's", config(force_image_size=128), "tiles of 128 pixels (force_image_size)"),
            ("a patch that is not a part of a tile", part("vision_config", patch_size=24), "patches of 24"),
            ("another number of tokens a tile", entries(PROCESSOR, num_image_token=16), "num_image_token 16"),
            ("twelve tiles", entries(PROCESSOR, max_input_tiles=12), "max_input_tiles 12"),
            ("no word of a thumbnail", both(config("use_thumbnail"), entries(PROCESSOR, "use_thumbnail")), "use_thumbnail None"),
            (
                "a temperature in the language model's entries alone",
                both(config("temperature"), part("llm_config", temperature=2.0)),
                "alone",
            ),
            ("a temperature of 0", config(temperature=0), "temperature 0:"),
            ("two labels", config(id2label={"0": "no", "1": "yes"}), "has 2 labels"),
            ("a tokenizer without the token of images", token_renamed("<IMG_CONTEXT>", "<OTHER>"), "has no token <IMG_CONTEXT>"),
            ("another token of images in the model", config(img_context_token_id=4), "token 4 (img_context_token_id)"),
            ("no room for text beside an image", entries("tokenizer_config.json", model_max_length=30), "leaves none for text"),
            ("no projector", without("model.mlp1.1."), "missing: model.mlp1.1.bias, model.mlp1.1.weight."),
            (
                "a layer more than in config.json",
                part("vision_config", num_hidden_layers=1),
                "unused: model.vision_model.encoder.layers.1.",
            ),
            ("a head of the language model", added(model__language_model__lm_head__weight=(9, 64)), "unused: model.language_model.lm_head"),
            ("a head for two labels", added(score__weight=(2, 64)), "of another shape: score.weight [2, 64] instead of [1, 64]"),
            (
                "vision weights under both names",
                added(model__vision_model__vision_model__post_layernorm__bias=(32,)),
                "unused: model.vision",
            ),
        )
    ),
]
