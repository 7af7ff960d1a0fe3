"""python -m pytest tests/unit/scripts/test_random_models.py

`make bench-peers MODEL=…` on models of the same kinds with tiny dimensions: checkpoints that the export loads whole, and peers' commands.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
import pytest

pytest.importorskip("torch")

from scripts import bench_peers
from scripts.benchmark import random_contenders
from scripts.benchmark.contenders import OPENVINO, OUR_ENGINE, OURS, OURS_IN_BF16, VLLM
from scripts.benchmark.driven import Driver
from scripts.benchmark.machine import about
from scripts.benchmark.process import Program
from scripts.benchmark.random_checkpoint import random_checkpoint, vllm_checkpoint
from scripts.benchmark.random_models import RANDOM_MODELS, RandomModel
from scripts.benchmark.report import write_report
from scripts.benchmark.results import PeerRow, PeersRun, peers_file, read_peers, write
from scripts.benchmark.workplace import Workplace
from scripts.export import families
from tests.unit.scripts.benchmark_servers import texts

NAMES = list(RANDOM_MODELS)
SMALL = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96, "vocab_size": 2500}
SENTENCES = ["which way should i go", "two roads diverged in a yellow wood", "Judge it: yes or no? 1234 metres"] * 20


@cache
def tiny(name: str) -> RandomModel:
    """The model with tiny dimensions."""
    model = RANDOM_MODELS[name]
    decoder = {"head_dim": 12, "num_key_value_heads": 2} if model.is_decoder else {}
    return replace(model, config={**model.config, **SMALL, **decoder})


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("workplace"))


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest) -> RandomModel:
    return tiny(request.param)


def test_a_checkpoint_is_loaded_whole_and_its_logits_spread_around_0(model: RandomModel, workplace: Workplace) -> None:
    folder = random_checkpoint(model, SENTENCES, workplace)
    loaded = families.load(folder)
    logits = [loaded.reference(loaded.encode(query, passage)) for query in SENTENCES[:3] for passage in SENTENCES[:3]]
    assert loaded.max_seq_len == model.longest
    assert np.std(logits) > 0.5
    assert abs(np.mean(logits)) < 5.0


def test_it_is_made_once_for_a_recipe(workplace: Workplace) -> None:
    model = tiny("xlmr-base")
    folder = random_checkpoint(model, SENTENCES, workplace)
    weights = folder / "model.safetensors"
    before = weights.read_bytes(), weights.stat().st_mtime_ns
    assert random_checkpoint(model, SENTENCES, workplace) == folder
    assert (weights.read_bytes(), weights.stat().st_mtime_ns) == before
    random_checkpoint(replace(model, longest=400), SENTENCES, workplace)
    assert weights.read_bytes() == before[0]  # of the same seed
    assert weights.stat().st_mtime_ns != before[1]


def test_vllm_s_copy_shares_the_weights_and_has_a_configuration_of_its_own(workplace: Workplace) -> None:
    model = tiny("llama-1b")
    folder = random_checkpoint(model, SENTENCES, workplace)
    copied = vllm_checkpoint(model, folder, workplace)
    assert (copied / "model.safetensors").samefile(folder / "model.safetensors")
    config, own = (json.loads((place / "config.json").read_text()) for place in (copied, folder))
    assert (config["model_type"], own["model_type"]) == ("llama", "llama_bidirec")
    assert config["architectures"] == own["architectures"] == ["LlamaBidirectionalForSequenceClassification"]
    assert "passage:" in (copied / "pair.jinja").read_text()
    assert vllm_checkpoint(model, folder, workplace) == copied


@pytest.mark.parametrize("name", NAMES)
def test_the_published_dimensions_are_those_of_the_model_that_is_named(name: str) -> None:
    """Millions of parameters, as their model cards state them; a tied head counts once."""
    published = {"xlmr-base": 278, "xlmr-large": 568, "modernbert-base": 150, "llama-1b": 1236, "qwen3-0.6b": 596}
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = RANDOM_MODELS[name]
    config = transformers.AutoConfig.for_model(model.family, num_labels=1, **model.config)
    make = transformers.AutoModelForCausalLM if name == "qwen3-0.6b" else transformers.AutoModelForSequenceClassification
    with torch.device("meta"):
        made = make.from_config(config)
    assert sum(parameter.numel() for parameter in made.parameters()) / 1e6 == pytest.approx(published[name], rel=0.01)
    assert made.get_parameter(model.head).numel() >= 768


def test_classifiers_have_two_peers_and_decoders_vllm(workplace: Workplace) -> None:
    ours = [OURS, OURS_IN_BF16, OUR_ENGINE]
    assert [each.name for each in random_contenders.contenders(tiny("xlmr-base"))] == [*ours, VLLM, OPENVINO]
    assert [each.name for each in random_contenders.contenders(tiny("qwen3-0.6b"))] == [*ours, VLLM]
    for contender in random_contenders.contenders(tiny("xlmr-base"))[:3]:
        how = contender.start(Path("unused"), workplace)
        assert how.environment["RERANKER_MODEL"] == str(workplace.root / "bundles" / "xlmr-base")
        assert isinstance(how, Driver if contender.name == OUR_ENGINE else Program)


def test_vllm_gets_the_prompt_and_the_answers_of_a_decoder(workplace: Workplace) -> None:
    model = tiny("qwen3-0.6b")
    folder = random_checkpoint(model, SENTENCES, workplace)
    how = random_contenders.contenders(model)[3].start(folder, workplace)
    asked = dict(zip(how.command[3::2], how.command[4::2], strict=False))
    assert json.loads(how.command[how.command.index("--hf-overrides") + 1])["classifier_from_token"] == ["no", "yes"]
    template = Path(how.command[how.command.index("--chat-template") + 1])
    assert 'selectattr("role", "eq", "document")' in template.read_text()
    assert how.command[how.command.index("--max-model-len") + 1] == "1024"
    assert how.environment["VLLM_CPU_KVCACHE_SPACE"] == "4"
    assert asked["--served-model-name"] == "peer"


def test_the_bundle_is_exported_once_and_a_failure_names_its_log(tmp_path: Path) -> None:
    workplace, model, commands = Workplace(tmp_path), tiny("xlmr-base"), list[Sequence[str]]()

    def execute(command: Sequence[str], _: IO[bytes]) -> int:
        commands.append(command)
        (tmp_path / "bundles" / model.name).mkdir()
        return 0

    for _ in range(2):
        random_contenders.export(model, tmp_path / "checkpoint", workplace, execute)
    (command,) = commands
    assert command[command.index("--out") + 1] == str(tmp_path / "bundles" / model.name)
    with pytest.raises(RuntimeError, match=r"the export of xlmr-base failed: see .*export-xlmr-base\.log"):
        random_contenders.export(replace(model, longest=400), tmp_path / "checkpoint", workplace, lambda *_: 1)


def test_the_right_scores_are_the_export_s_reference(workplace: Workplace, tmp_path: Path) -> None:
    folder = random_checkpoint(tiny("modernbert-base"), SENTENCES, workplace)
    expected = random_contenders.reference(folder, texts(tmp_path, words=30), count=2, passages=2)
    assert [len(own) for own in expected.logits] == [2, 2]
    assert expected.compare([own.tolist() for own in expected.logits], sigmoid=False).largest == 0.0


def test_a_model_s_run_is_a_section_of_the_report(tmp_path: Path) -> None:
    row = PeerRow(OURS, "HTTP", [10.0], 1.0, 100.0, "right", 0.01, 0.0, 0, {})
    peer = replace(row, name=VLLM, rates=[5.0])
    folder, page = tmp_path / "page", tmp_path / "page.md"
    write(folder, peers_file("xlmr-base"), PeersRun(about(1.0, 1), [row, peer], {"to_vllm": 2.0}))
    assert read_peers(folder) is None
    write_report(page)
    text = page.read_text()
    assert "### xlmr-base: the dimensions of BAAI/bge-reranker-base" in text
    assert "| vLLM | HTTP | 0.50 | right |" in text
    assert "![peers-xlmr-base](page/peers-xlmr-base.png)" in text


def test_an_unknown_model_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench_peers.main(["--model", "xlmr"])
    (line,) = capsys.readouterr().err.splitlines()
    assert "invalid choice: 'xlmr' (choose from " in line
