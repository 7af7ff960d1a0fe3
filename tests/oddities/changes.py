"""What makes a tiny checkpoint odd: each a change of the folder that tests/tiny_checkpoints has written."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from tests.tiny_checkpoints.encoders import classifier
from tests.tiny_checkpoints.tokenizers import ROBERTA, ROBERTA_JOINS, ROBERTA_SPECIAL, spaced

WEIGHTS = "model.safetensors"
SEGMENTS = "bert.embeddings.token_type_embeddings.weight"

# Typed as transformers' constructors are: not at all.
CLASSIFIER: Any = AutoModelForSequenceClassification

Change = Callable[[Path], None]


def read(folder: Path, name: str = "config.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_text())
    return content


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def plain(folder: Path) -> None:
    """Nothing odd about it."""


def one_layer(folder: Path) -> None:
    """The first layer alone, for the exporters' sake: they take seconds for each."""
    own = read(folder)
    kept = {name: 1 for name in ("num_hidden_layers", "n_layers") if name in own}
    parts = {name: {**own[name], "num_hidden_layers": 1} for name in ("vision_config", "llm_config") if name in own}
    config(**kept, **parts, **({"layer_types": own["layer_types"][:1]} if "layer_types" in own else {}))(folder)
    weights(lambda stored: {name: tensor for name, tensor in stored.items() if not re.search(r"\blayers?\.[1-9]", name)})(folder)


def config(*left_out: str, **entries: Any) -> Change:
    """Other entries in config.json, and some left out."""

    def change(folder: Path) -> None:
        kept = {name: value for name, value in read(folder).items() if name not in left_out}
        write(folder, "config.json", kept | entries)

    return change


def entries(name: str, *left_out: str, **more: Any) -> Change:
    """The same in another JSON file of the checkpoint."""

    def change(folder: Path) -> None:
        kept = {key: value for key, value in read(folder, name).items() if key not in left_out}
        write(folder, name, kept | more)

    return change


def part(name: str, *left_out: str, **more: Any) -> Change:
    """The same in one of the configurations that config.json consists of."""

    def change(folder: Path) -> None:
        kept = {key: value for key, value in read(folder)[name].items() if key not in left_out}
        config(**{name: kept | more})(folder)

    return change


def token_renamed(old: str, new: str) -> Change:
    """Another name of a token in tokenizer.json."""

    def change(folder: Path) -> None:
        path = folder / "tokenizer.json"
        path.write_text(path.read_text().replace(json.dumps(old), json.dumps(new)))

    return change


def weights(make: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Change:
    """Other weights, made of those by name that the family has."""

    def change(folder: Path) -> None:
        stored = {name: tensor.clone() for name, tensor in load_file(folder / WEIGHTS).items()}
        save_file({name: tensor.contiguous() for name, tensor in make(stored).items()}, folder / WEIGHTS, {"format": "pt"})

    return change


def renamed(**names: str) -> Change:
    def rename(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        made = {}
        for name, tensor in stored.items():
            own = name
            for old, new in names.items():
                own = own.replace(old.replace("__", "."), new.replace("__", "."))
            made[own] = tensor
        return made

    return weights(rename)


def added(**shapes: tuple[int, ...]) -> Change:
    return weights(lambda stored: stored | {name.replace("__", "."): torch.ones(shape) for name, shape in shapes.items()})


def without(*starts: str) -> Change:
    return weights(lambda stored: {name: tensor for name, tensor in stored.items() if not name.startswith(starts)})


def both(*changes: Change) -> Change:
    def change(folder: Path) -> None:
        for each in changes:
            each(folder)

    return change


def labelled(*names: str, **more: Any) -> Change:
    """As many labels as names, trained as a classifier of pairs."""

    def change(folder: Path) -> None:
        own = AutoConfig.from_pretrained(folder, id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)}, **more)
        torch.manual_seed(11)
        CLASSIFIER.from_config(own).save_pretrained(folder)

    return change


def decoder_labelled(*names: str) -> Change:
    """The same for a decoder, whose type transformers does not know."""

    def change(folder: Path) -> None:
        config(id2label=dict(enumerate(names)), label2id={name: number for number, name in enumerate(names)})(folder)
        torch.manual_seed(11)
        weights(lambda stored: stored | {"score.weight": torch.randn(len(names), stored["score.weight"].shape[1])})(folder)

    return change


def base_only(folder: Path) -> None:
    """An encoder without a reranker's head, under the name of a reranker."""
    own = read(folder)
    AutoModel.from_pretrained(folder).save_pretrained(folder)
    write(folder, "config.json", own)


def sharded(folder: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="1MB")


def as_bf16(folder: Path) -> None:
    weights(lambda stored: {name: tensor.to(torch.bfloat16) for name, tensor in stored.items()})(folder)
    config(dtype="bfloat16")(folder)


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def without_segments(folder: Path) -> None:
    """As multilingual MiniLM: XLM-R's tokenizer, BERT's model."""
    for file in folder.iterdir():
        file.unlink()
    tokenizer = spaced(folder, "unigram", ROBERTA_SPECIAL, *ROBERTA_JOINS, **ROBERTA)
    classifier(folder, "bert", tokenizer)


def segments_kept_back(folder: Path) -> None:
    """The tokenizer could make segment ids, but its settings say that the model gets none."""
    write(folder, "tokenizer_config.json", read(folder, "tokenizer_config.json") | {"model_input_names": ["input_ids", "attention_mask"]})


def tokenizer_code(folder: Path) -> None:
    write(
        folder, "tokenizer_config.json", read(folder, "tokenizer_config.json") | {"auto_map": {"AutoTokenizer": ["tokenization.Own", None]}}
    )


def one_segment(folder: Path) -> None:
    config(type_vocab_size=1)(folder)
    weights(lambda stored: stored | {SEGMENTS: stored[SEGMENTS][:1]})(folder)


def as_class(name: str, **entries: Any) -> Change:
    """Another class of transformers, with weights drawn at random."""

    def change(folder: Path) -> None:
        own = AutoConfig.from_pretrained(folder, **entries)
        torch.manual_seed(11)
        getattr(transformers, name)(own).save_pretrained(folder)

    return change


def classifier_of(kind: str) -> Change:
    """A decoder with a head of one label, drawn at random."""
    return as_class(f"{kind}ForSequenceClassification", num_labels=1, pad_token_id=0)


as_classifier = classifier_of("Qwen3")


def converted(kind: str, positive: str, negative: str | None = None, *, labels: int = 1) -> Change:
    """As public conversions are made: the head is the vocabulary's positive answer, minus its negative one where there are two.

    With two `labels`, it is the negative and the positive one.
    """

    def change(folder: Path) -> None:
        own = AutoConfig.from_pretrained(folder, num_labels=labels, pad_token_id=0)
        words = AutoTokenizer.from_pretrained(folder).get_vocab()
        stored = load_file(folder / WEIGHTS)
        model = getattr(transformers, f"{kind}ForSequenceClassification")(own)
        embedded = stored["model.embed_tokens.weight"]
        taken = [embedded[words[word]] for word in (negative, positive) if word is not None]
        head = torch.stack(taken) if labels == 2 else (taken[-1] - taken[0] if negative else taken[0])[None]
        kept = {name: value for name, value in stored.items() if name != "lm_head.weight"}
        model.load_state_dict(kept | {"score.weight": head.to(torch.bfloat16).float()})
        model.save_pretrained(folder)

    return change


def untied(folder: Path) -> None:
    """A head of its own instead of the embeddings."""
    config(tie_word_embeddings=False)(folder)
    torch.manual_seed(11)
    weights(lambda stored: stored | {"lm_head.weight": torch.randn_like(stored["model.embed_tokens.weight"])})(folder)
