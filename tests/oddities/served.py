"""The odd checkpoints that are served."""

from tests.oddities.changes import (
    added,
    as_bf16,
    as_class,
    as_classifier,
    both,
    classifier_of,
    config,
    converted,
    decoder_labelled,
    labelled,
    one_layer,
    plain,
    renamed,
    segments_kept_back,
    sharded,
    untied,
    without,
    without_segments,
)
from tests.oddities.odd import Odd
from tests.oddities.sentence_transformers_files import PAIR_TEMPLATE, cross_encoder, logit_of, pooled, template, trained, without_module
from tests.tiny_checkpoints import JINA, MAKE, MODULAR
from tests.tiny_checkpoints.tokenizers import LIMIT

SEGMENTS_OF_NEW = "new.embeddings.token_type_embeddings"

SERVED = [
    *(Odd("nothing odd", family, plain) for family in sorted(MAKE) if " with " not in family),
    *(Odd("a SentencePiece model as its only tokenizer", family, one_layer) for family in sorted(MAKE) if family.endswith(".model")),
    Odd("weights and code under Jina's names (jina-reranker-v2)", JINA, plain),
    Odd(
        "no scaling of positions, and no segments (gte-base-en)",
        "new",
        both(config(type_vocab_size=0, rope_scaling=None), without(SEGMENTS_OF_NEW)),
    ),
    Odd("weights in bf16", JINA, as_bf16),
    Odd("pooling and dense layers as modules of sentence-transformers, as ettin", MODULAR, plain),
    Odd("a mean and no layer norm", MODULAR, both(pooled("mean"), without_module(3))),
    Odd("`type_vocab_size` left out of config.json", "bert", config("type_vocab_size")),
    Odd("`hidden_act: gelu_new`", "bert", config(hidden_act="gelu_new")),
    Odd("a tokenizer that makes no segment ids (multilingual MiniLM)", "bert", without_segments),
    Odd("`model_input_names` without segment ids", "bert", segments_kept_back),
    Odd("two labels, `irrelevant` and `relevant`", "bert", labelled("irrelevant", "relevant"), scored_as="second"),
    Odd("two labels, `YES` before `NO`", "roberta", labelled("YES", "NO"), scored_as="first"),
    Odd("norms called gamma and beta", "bert", renamed(LayerNorm__weight="LayerNorm__gamma", LayerNorm__bias="LayerNorm__beta")),
    Odd(
        "position ids and pretraining heads left in the weights",
        "bert",
        added(bert__embeddings__position_ids=(1, LIMIT), cls__predictions__bias=(9,)),
    ),
    Odd("an unused pooler", "xlm-roberta", added(roberta__pooler__dense__weight=(48, 48), roberta__pooler__dense__bias=(48,))),
    Odd("weights in several files", "bert", sharded),
    Odd("weights in bf16", "electra", as_bf16),
    Odd("pooling and limits left out of config.json", "llama_bidirec", config("pooling", "temperature", "rms_norm_eps")),
    Odd(
        "an older config's linear rotary scaling",
        "llama_bidirec",
        config("rope_parameters", rope_theta=5000.0, rope_scaling={"type": "linear", "factor": 2.0}),
    ),
    Odd("a sliding window shorter than the limit", "mistral_bidirec", config(sliding_window=64)),
    Odd("two labels, `false` and `true`", "llama_bidirec", decoder_labelled("false", "true"), scored_as="second"),
    Odd("a head that is not tied to the embeddings", "qwen3", untied),
    Odd(
        "the logit of one word, under its own chat template",
        "qwen3",
        both(template(PAIR_TEMPLATE), logit_of("Yes")),
        scored_as="Yes template",
    ),
    Odd(
        "`Qwen3ForSequenceClassification` with a chat template for pairs",
        "qwen3",
        both(as_classifier, template(PAIR_TEMPLATE), cross_encoder()),
        scored_as="classifier template",
    ),
    Odd(
        "`Qwen3ForSequenceClassification`, converted from a Qwen3-Reranker",
        "qwen3",
        converted("Qwen3", "yes", "no"),
        scored_as="classifier",
    ),
    Odd(
        "`Qwen3ForSequenceClassification`, trained by sentence-transformers without a prompt",
        "qwen3",
        both(as_classifier, trained),
        scored_as="CrossEncoder",
    ),
    Odd("`Qwen2ForSequenceClassification`, converted from mxbai-rerank-v2", "qwen2", converted("Qwen2", "1", "0"), scored_as="classifier"),
    Odd(
        "`Qwen2ForSequenceClassification`, converted from mxbai-rerank-v2 with two labels (mxbai-rerank-base-v2-seq)",
        "qwen2",
        converted("Qwen2", "1", "0", labels=2),
        scored_as="classifier second",
    ),
    Odd(
        "`Qwen2ForSequenceClassification`, trained by sentence-transformers with a prompt",
        "qwen2",
        both(
            classifier_of("Qwen2"),
            cross_encoder(texts_alone=True, prompts={"rerank": "Rank the answers: "}, default_prompt_name="rerank"),
        ),
        scored_as="CrossEncoder",
    ),
    Odd(
        "`GemmaForSequenceClassification`, converted from bge-reranker-v2-gemma", "gemma", converted("Gemma", "Yes"), scored_as="classifier"
    ),
    Odd(
        "`GemmaForSequenceClassification`, trained by sentence-transformers without a prompt",
        "gemma",
        both(classifier_of("Gemma"), trained),
        scored_as="CrossEncoder",
    ),
    Odd(
        "`LlamaForCausalLM`: the logit of one word, under its own chat template",
        "llama",
        both(as_class("LlamaForCausalLM"), template(PAIR_TEMPLATE), logit_of("Yes")),
        scored_as="CrossEncoder",
    ),
    Odd(
        "a prompt of sentence-transformers",
        "bert",
        cross_encoder(texts_alone=True, prompts={"rerank": "Rank: "}, default_prompt_name="rerank"),
        scored_as="CrossEncoder",
    ),
]
