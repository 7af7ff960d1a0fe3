"""python -m pytest tests/unit/scripts/test_bulk_parts.py

The working folder of a bulk run: a block is finished or absent, and only the same run resumes.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from scripts.bulk import run_state
from scripts.bulk.errors import BulkError
from scripts.bulk.parts import Parts, Record, Rejected
from scripts.bulk.run_state import InputFile, Model, Run

RUN = Run((InputFile("in.jsonl", 10, 20),), "pairs", 100, ".jsonl", "end", Model("d" * 64, "openvino int8", 512))
BAD = Rejected("in.jsonl", 7, "query: empty")


def writing(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def test_a_saved_block_is_finished(tmp_path: Path) -> None:
    parts = Parts(tmp_path, ".jsonl")
    records = [Record(0, 3, 3, ()), Record(12, 3, 2, (BAD,))]
    for record in records:
        parts.save(record, writing(b"rows"))
    assert parts.done() == {0: records[0], 12: records[1]}
    assert parts.part(12).read_bytes() == b"rows"
    assert not list(tmp_path.glob(".*"))  # nothing temporary is left


def test_a_part_that_could_not_be_written_is_unfinished(tmp_path: Path) -> None:
    def broken(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left")

    parts = Parts(tmp_path, ".jsonl")
    with pytest.raises(OSError, match="no space"):
        parts.save(Record(0, 3, 3, ()), broken)
    assert parts.done() == {}
    assert not parts.part(0).exists()


def test_a_part_without_its_record_is_unfinished(tmp_path: Path) -> None:
    parts = Parts(tmp_path, ".parquet")
    parts.part(0).write_bytes(b"the process was killed between the two")
    assert parts.done() == {}


def test_rejected_rows_are_joined_in_the_inputs_order(tmp_path: Path) -> None:
    parts = Parts(tmp_path, ".jsonl")
    for number in (1, 0):
        parts.save(Record(number, 3, 2, (replace(BAD, row=number),)), writing(b""))
    path = tmp_path / "rejected.jsonl"
    assert parts.join_rejected([0, 1], path) == 2
    assert [orjson.loads(line) for line in path.read_bytes().splitlines()] == [
        {"file": "in.jsonl", "row": number, "reason": "query: empty"} for number in (0, 1)
    ]


def test_a_rejected_row_has_its_line_where_that_is_not_its_number(tmp_path: Path) -> None:
    parts = Parts(tmp_path, ".csv")
    parts.save(Record(0, 3, 2, (replace(BAD, line=12),)), writing(b""))
    parts.join_rejected([0], tmp_path / "rejected.jsonl")
    assert orjson.loads((tmp_path / "rejected.jsonl").read_bytes()) == {"file": "in.jsonl", "row": 7, "reason": "query: empty", "line": 12}
    assert parts.done()[0].rejected == (replace(BAD, line=12),)


def test_without_rejected_rows_there_is_no_side_file(tmp_path: Path) -> None:
    path = tmp_path / "rejected.jsonl"
    path.write_text("of a former run")
    assert Parts(tmp_path, ".jsonl").join_rejected([], path) == 0
    assert not path.exists()


def test_the_same_run_resumes(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out.jsonl"
    with run_state.opened(out, RUN, restart=False) as folder:
        (folder / "00000000.json").write_text("{}")
    with run_state.opened(out, RUN, restart=False) as folder:
        assert (folder / "00000000.json").exists()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(RUN, input=(InputFile("in.jsonl", 10, 21),)), "another input, or a changed one"),
        (replace(RUN, block_rows=7), "another --block-rows"),
        (replace(RUN, truncate="none"), "another --truncate"),
        (replace(RUN, keep=("url",)), "another --keep"),
        (replace(RUN, model=replace(RUN.model, digest="e" * 64)), "another model bundle"),
        (replace(RUN, model=replace(RUN.model, engine="openvino fp32")), "another model bundle, engine, precision"),
        (replace(RUN, output=".parquet", form="rankings"), "rows of another form, and another output format"),
    ],
)
def test_another_run_is_refused_and_restart_starts_over(tmp_path: Path, other: Run, message: str) -> None:
    out = tmp_path / "out.jsonl"
    with run_state.opened(out, RUN, restart=False) as folder:
        (folder / "00000000.json").write_text("{}")
    with pytest.raises(BulkError, match=f"{message}.*--restart"), run_state.opened(out, other, restart=False):
        pass
    with run_state.opened(out, other, restart=True) as folder:
        assert not (folder / "00000000.json").exists()
    with run_state.opened(out, other, restart=False):
        pass


def killed_after(count: int) -> Callable[..., None]:
    """Deletes `count` files; at the next one the process is killed."""
    left = iter(range(count))
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(path, missing_ok)

    return unlink


@pytest.mark.parametrize("count", range(7))  # three records, three parts, and the manifest
def test_a_restart_that_is_killed_leaves_a_folder_that_can_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    out, other = tmp_path / "out.jsonl", replace(RUN, block_rows=7)
    with run_state.opened(out, RUN, restart=False) as folder:
        parts = Parts(folder, ".jsonl")
        for number in range(3):
            parts.save(Record(number, 3, 3, ()), writing(b"rows"))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed_after(count))
        with pytest.raises(KeyboardInterrupt), run_state.opened(out, other, restart=True):
            pass
    assert all(parts.part(number).exists() for number in parts.done())
    with pytest.raises(BulkError, match="another --block-rows"), run_state.opened(out, other, restart=False):
        pass  # still of the former run, so nothing of it is taken for the other's


def test_a_working_folder_is_never_found_half_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise KeyboardInterrupt

    out = tmp_path / "out.jsonl"
    with run_state.opened(out, RUN, restart=False) as folder:
        pass
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            run_state.remove(folder)
    assert not folder.exists()
    with run_state.opened(out, RUN, restart=False):
        run_state.remove(folder)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_only_overwritten_with_restart(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.touch()
    with pytest.raises(BulkError, match=r"exists already.*--restart"), run_state.opened(out, RUN, restart=False):
        pass
    with run_state.opened(out, RUN, restart=True):
        pass


def test_two_runs_cannot_write_one_output(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with (
        run_state.opened(out, RUN, restart=False),
        pytest.raises(BulkError, match="another run is writing"),
        run_state.opened(out, RUN, restart=True),
    ):
        pass
