"""python -m pytest tests/unit/serving/test_swap.py

What Triton is shown and when: a version that it can't load changes nothing, at a start the others are tried in turn.
tests/triton/test_bad_versions.py does the same with a real one.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from facade.errors import BundleError, NotReadyError
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.tensors import MODEL
from scripts.serving.shown_version import link_files
from scripts.serving.supervisor import StartFailedError
from scripts.serving.swap import Swap
from scripts.serving.versions import Versions
from tests.unit.serving.test_versions import put  # noqa: F401 (a fixture)
from tests.unit.waiting import until

Put = Callable[[str], Path]


@dataclass
class Models:
    """A Triton that can't load the versions named in `bad`, and that answers as soon as it is not `away`."""

    shown: Path
    bad: set[str] = field(default_factory=set)
    others: dict[str, str] = field(default_factory=dict)
    away: int = 0
    served: str | None = None
    loads: list[str] = field(default_factory=list)

    def start(self) -> None:
        with suppress(BundleError):
            self._read()

    async def load(self) -> None:
        self._read()

    async def faults(self) -> dict[str, str]:
        if self.away:
            self.away -= 1
            raise NotReadyError("away")
        return {**self.others, **({} if self.served else {MODEL: "no engine reads it"})}

    async def probe(self, _: float) -> str:
        if self.away:
            raise NotReadyError("away")
        return "openvino"

    def _read(self) -> None:
        (found,) = (path.name for path in self.shown.iterdir() if path.name.isdigit())
        self.loads.append(found)
        if found in self.bad:
            raise BundleError("no engine reads it")
        self.served = found


@pytest.fixture
def swap(put: Put, tmp_path: Path) -> Swap:  # noqa: F811
    """Beside a Triton that was not started yet, version 1 alone on the disk."""
    model = put("1").parent
    shown = tmp_path / "shown"
    link_files(model, shown)
    models = Models(shown)
    current = ActiveBundle(model, None)
    return Swap(Versions(model, None), current, shown, models, models.probe, look_every_s=0.01, ask_again_s=0.001)


def models_of(swap: Swap) -> Models:
    assert isinstance(swap.models, Models)
    return swap.models


async def started(swap: Swap) -> Models:
    await swap.prepare_start()
    models_of(swap).start()
    await swap.until_loaded()
    swap.versions.works()
    return models_of(swap)


def shown(swap: Swap) -> list[str]:
    return [path.name for path in swap.shown.iterdir() if path.name.isdigit()]


async def look_twice(swap: Swap) -> None:
    await swap.look()
    await swap.look()


async def test_a_new_version_is_shown_loaded_and_served(swap: Swap, put: Put) -> None:  # noqa: F811
    models = await started(swap)
    put("2")
    await look_twice(swap)
    assert (models.served, shown(swap), swap.current.bundle.version) == ("2", ["2"], "2.0.0")


async def test_a_version_that_triton_can_not_load_changes_nothing(
    swap: Swap,
    put: Put,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    models = await started(swap)
    models.bad = {"2"}
    put("2")
    for _ in range(3):
        await look_twice(swap)
    assert (models.served, shown(swap), swap.current.bundle.version) == ("1", ["1"], "1.0.0")
    assert models.loads == ["1", "2"]
    assert sum("version 2 is left out" in line and "no engine reads it" in line for line in caplog.messages) == 1


async def test_nothing_is_loaded_while_triton_is_away(swap: Swap, put: Put) -> None:  # noqa: F811
    models = await started(swap)
    put("2")
    await swap.look()
    models.away = 1
    with pytest.raises(NotReadyError):
        await swap.look()
    models.away = 0
    await swap.look()
    assert models.served == "2"


async def test_a_start_offers_triton_one_version_after_the_other(swap: Swap, put: Put, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    put("2")
    put("3")
    models_of(swap).bad = {"2", "3"}
    models_of(swap).away = 3
    models = await started(swap)
    assert (models.loads, models.served, shown(swap), swap.current.bundle.version) == (["3", "2", "1"], "1", ["1"], "1.0.0")
    for number in "23":
        assert sum(f"version {number} is left out" in line for line in caplog.messages) == 1
    await look_twice(swap)
    assert models.loads == ["3", "2", "1"]


async def test_a_start_without_a_version_that_can_be_loaded_fails_with_the_reason(swap: Swap) -> None:
    models_of(swap).bad = {"1"}
    with pytest.raises(StartFailedError, match=r"can load no version of reranker.*no engine reads it"):
        await started(swap)


async def test_a_start_without_another_model_fails_with_its_name(swap: Swap) -> None:
    models_of(swap).others = {"rerank_text": "no tokenizer"}
    with pytest.raises(StartFailedError, match=r"rerank_text \(no tokenizer\)"):
        await started(swap)


async def test_looking_goes_on_after_whatever_one_look_raises(
    swap: Swap,
    put: Put,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = await started(swap)
    real, raised = swap.versions.newer, 0

    def newer() -> object:
        nonlocal raised
        raised += 1
        if raised < 3:
            raise ValueError("kestrel")
        return real()

    monkeypatch.setattr(swap.versions, "newer", newer)
    put("2")
    following = asyncio.create_task(swap.follow())
    await until(lambda: models.served == "2")
    assert not following.done()
    following.cancel()
