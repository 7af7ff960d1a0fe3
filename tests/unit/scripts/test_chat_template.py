"""python -m pytest tests/unit/scripts/test_chat_template.py

A chat template becomes a prompt where it is made for pairs, under the settings that sentence-transformers would use.
"""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from scripts.export.chat_template import pair_prompt  # noqa: E402
from tests import tiny_checkpoints  # noqa: E402
from tests.oddities.changes import read, write  # noqa: E402
from tests.oddities.sentence_transformers_files import CHAT_TEMPLATE, PAIR_TEMPLATE, cross_encoder, template  # noqa: E402

SYSTEM = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_checkpoints.save("qwen3", tmp_path / "tiny")


def filled(folder: Path, query: str = "which?", document: str = "this one") -> Any:
    prompt = pair_prompt(folder, transformers.AutoTokenizer.from_pretrained(folder))
    return None if prompt is None else prompt.fill(query, document)


def test_without_a_template_there_is_no_prompt(folder: Path) -> None:
    assert filled(folder) is None


def test_a_template_for_conversations_is_no_prompt(folder: Path) -> None:
    template(CHAT_TEMPLATE)(folder)
    assert filled(folder) is None


def test_settings_count_only_beside_a_list_of_modules(folder: Path) -> None:
    template(PAIR_TEMPLATE)(folder)
    cross_encoder()(folder)
    asked = "<|im_start|>system\nIs it an answer?<|im_end|>\n<|im_start|>user\n<Query>: which?\n<Document>: this one<|im_end|>\n"
    assert filled(folder) == asked + "<|im_start|>assistant\n"
    (folder / "modules.json").unlink()
    assert filled(folder) == asked


def test_a_default_prompt_is_the_system_s_message(folder: Path) -> None:
    template(SYSTEM)(folder)
    cross_encoder(prompts={"rank": "Rank well."}, default_prompt_name="rank")(folder)
    assert filled(folder) == (
        "<|im_start|>system\nRank well.<|im_end|>\n<|im_start|>query\nwhich?<|im_end|>\n<|im_start|>document\nthis one<|im_end|>\n"
    )


def test_a_model_that_takes_texts_alone_has_no_template(folder: Path) -> None:
    template(PAIR_TEMPLATE)(folder)
    cross_encoder()(folder)
    settings = read(folder, "sentence_bert_config.json")
    write(folder, "sentence_bert_config.json", settings | {"modality_config": {"text": {"method": "forward"}}})
    assert filled(folder) is None
