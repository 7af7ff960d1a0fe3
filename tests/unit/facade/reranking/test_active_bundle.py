"""python -m pytest tests/unit/facade/reranking/test_active_bundle.py

Which bundle is served, and how another one takes over.
"""

import asyncio
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from facade.errors import BundleError, OtherBundleError
from facade.reranking.active_bundle import ActiveBundle, read_version
from facade.reranking.bundle import MANIFEST, read_bundle
from facade.reranking.pairs import PairTokenizer
from tests.unit.conftest import MakeBundle


def add_version(make_bundle: MakeBundle, number: str, **entries: Any) -> Path:
    """A further version, in a folder of its own beside the first, which gets the same entries."""
    first = make_bundle(**entries)
    folder = first.parent / number
    if folder != first:
        shutil.copytree(first, folder)
    return folder


async def test_the_newest_version_takes_over_when_the_old_one_is_refused(make_bundle: MakeBundle) -> None:
    folder = make_bundle(version="1.0.0")
    current = ActiveBundle(folder.parent, None)
    old, tokenizer = current.bundle, current.tokenizer
    assert not await current.renew(old)
    assert current.tokenizer is tokenizer
    add_version(make_bundle, "10", version="2.0.0")
    assert await current.renew(old)
    assert (current.bundle.version, current.bundle.folder.name) == ("2.0.0", "10")


async def test_many_refusals_at_once_read_the_bundle_once(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_bundle(version="1.0.0")
    current = ActiveBundle(folder.parent, None)
    old = current.bundle
    add_version(make_bundle, "2", version="2.0.0")
    reads = 0

    def counted(folder: Path, max_seq_len: int | None) -> PairTokenizer:
        nonlocal reads
        reads += 1
        return read_version(folder, max_seq_len)

    monkeypatch.setattr("facade.reranking.active_bundle.read_version", counted)
    assert await asyncio.gather(*(current.renew(old) for _ in range(20))) == [True] * 20
    assert reads == 1


async def test_an_older_version_comes_back_when_the_newer_is_taken_away(make_bundle: MakeBundle) -> None:
    second = add_version(make_bundle, "2", version="2.0.0")
    make_bundle(version="1.0.0")
    current = ActiveBundle(second.parent, None)
    assert current.bundle.version == "2.0.0"
    shutil.rmtree(second)
    assert await current.renew(current.bundle)
    assert current.bundle.version == "1.0.0"


async def test_a_half_written_version_is_not_there_yet(make_bundle: MakeBundle) -> None:
    folder = make_bundle(version="1.0.0")
    current = ActiveBundle(folder.parent, None)
    half = add_version(make_bundle, "2", version="2.0.0")
    (half / MANIFEST).rename(half / "elsewhere")
    make_bundle(version="1.0.0")
    assert not await current.renew(current.bundle)


async def test_a_damaged_version_is_logged_and_the_old_one_stays(make_bundle: MakeBundle, caplog: pytest.LogCaptureFixture) -> None:
    folder = make_bundle(version="1.0.0")
    current = ActiveBundle(folder.parent, None)
    (add_version(make_bundle, "2", version="2.0.0") / "tokenizer.json").write_text("{}")
    with caplog.at_level(logging.ERROR):
        assert not await current.renew(current.bundle)
    assert "is not the file that" in caplog.text
    assert current.bundle.version == "1.0.0"


async def test_a_tokenizer_of_a_newer_library_is_logged_and_the_old_one_stays(
    make_bundle: MakeBundle, caplog: pytest.LogCaptureFixture
) -> None:
    add_version(make_bundle, "2", version="2.0.0", tokenizer='{"model": {"type": "Kestrel"}}')
    current = ActiveBundle(make_bundle(version="1.0.0").parent, None)
    assert current.bundle.version == "1.0.0"
    assert not await current.renew(current.bundle)
    assert "tokenizer.json can't be used" in caplog.text


async def test_the_bundle_that_triton_serves_is_found_among_newer_ones_and_bad_ones(
    make_bundle: MakeBundle, caplog: pytest.LogCaptureFixture
) -> None:
    (add_version(make_bundle, "4", version="4.0.0") / "tokenizer.json").write_text("{}")
    (add_version(make_bundle, "3", version="3.0.0") / MANIFEST).write_text("{}")
    add_version(make_bundle, "2", version="2.0.0")
    served = read_bundle(make_bundle(version="1.0.0"))
    current = ActiveBundle(served.folder.parent, None)
    assert current.bundle.version == "2.0.0"
    assert await current.renew(current.bundle, served.digest)
    assert current.bundle == served
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_bundle_that_triton_serves_and_no_folder_has_changes_nothing(make_bundle: MakeBundle) -> None:
    add_version(make_bundle, "2", version="2.0.0")
    current = ActiveBundle(make_bundle(version="1.0.0").parent, None)
    assert not await current.renew(current.bundle, "f" * 64)
    assert current.bundle.version == "2.0.0"


async def test_work_is_done_again_with_the_bundle_that_the_refusal_names(make_bundle: MakeBundle) -> None:
    add_version(make_bundle, "2", version="2.0.0")
    served = read_bundle(make_bundle(version="1.0.0"))
    current = ActiveBundle(served.folder.parent, None)

    async def work(tokenizer: PairTokenizer) -> str:
        if tokenizer.bundle.digest != served.digest:
            raise OtherBundleError(served=served.digest)
        return tokenizer.bundle.version

    assert await current.served(work) == "1.0.0"


async def test_a_served_version_that_can_not_be_read_is_logged_once(make_bundle: MakeBundle, caplog: pytest.LogCaptureFixture) -> None:
    bad = add_version(make_bundle, "2", version="2.0.0")
    digest = read_bundle(bad).digest
    (bad / "tokenizer.json").write_text("{}")
    current = ActiveBundle(make_bundle(version="1.0.0").parent, None)
    for _ in range(3):
        assert not await current.renew(current.bundle, digest)
    assert sum("is not the file that" in record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR) == 1


def test_a_limit_that_the_model_was_not_made_for_is_refused(make_bundle: MakeBundle) -> None:
    with pytest.raises(BundleError, match="NIM_MAX_SEQ_LEN=100000"):
        ActiveBundle(make_bundle().parent, 100000)


# work that is done with it


async def test_work_that_is_refused_is_done_again_with_the_newer_bundle(make_bundle: MakeBundle) -> None:
    folder = make_bundle(version="1.0.0")
    current = ActiveBundle(folder.parent, None)
    tried = []

    async def work(tokenizer: PairTokenizer) -> str:
        tried.append(tokenizer.bundle.version)
        if len(tried) == 1:
            add_version(make_bundle, "2", version="2.0.0")
            raise OtherBundleError
        return "done"

    assert await current.served(work) == "done"
    assert tried == ["1.0.0", "2.0.0"]


async def test_work_waits_for_a_triton_that_still_serves_a_version_which_is_already_gone_from_the_folder(make_bundle: MakeBundle) -> None:
    current = ActiveBundle(make_bundle(version="1.0.0").parent, None)
    tried = 0

    async def work(_: PairTokenizer) -> str:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise OtherBundleError
        return "done"

    assert await current.served(work) == "done"


async def test_work_for_a_bundle_that_triton_never_serves_is_refused_in_the_end(make_bundle: MakeBundle) -> None:
    async def work(_: PairTokenizer) -> str:
        raise OtherBundleError

    with pytest.raises(OtherBundleError):
        await ActiveBundle(make_bundle(version="1.0.0").parent, None, takeover_s=0.05).served(work)
