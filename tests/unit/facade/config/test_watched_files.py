"""python -m pytest tests/unit/facade/config/test_watched_files.py

A changed file is reloaded once it has settled, however it was replaced; an invalid one is logged, and the next change is seen.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from facade.config.watched_files import Watched, identity
from facade.errors import SettingsError
from tests.unit.waiting import until

OFTEN_S = 0.005


class Taken:
    """The reloaded texts, in order; the text "bad" is invalid, and "fault" raises another exception."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.texts: list[str] = []
        self.tries = 0

    async def __call__(self) -> None:
        self.tries += 1
        text = self._file.read_text()
        if text == "bad":
            raise SettingsError("this is unusable: write another one")
        if text == "fault":
            raise ZeroDivisionError
        self.texts.append(text)


@asynccontextmanager
async def followed(file: Path, **how: Any) -> AsyncIterator[Taken]:
    taken = Taken(file)
    task = asyncio.create_task(Watched(file, **how).follow(taken, OFTEN_S))
    try:
        yield taken
    finally:
        task.cancel()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_text("first")
    return made


def write(file: Path, text: str) -> None:
    file.write_text(text)


def replace(file: Path, text: str) -> None:
    new = file.with_name("new")
    new.write_text(text)
    new.replace(file)


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("change", [write, replace])
async def test_a_change_is_reloaded_once(file: Path, change: Callable[[Path, str], None]) -> None:
    async with followed(file) as taken:
        change(file, "second")
        await until(lambda: taken.texts)
        change(file, "third")
        await until(lambda: len(taken.texts) == 2)
    assert taken.texts == ["second", "third"]


async def test_a_link_that_is_turned_as_kubernetes_does_is_a_change(tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "tls.crt").write_text(version)
        os.utime(tmp_path / version / "tls.crt", ns=(1, 1))  # as old and as long as the other one
    (tmp_path / "..data").symlink_to("one")
    file = tmp_path / "tls.crt"
    file.symlink_to("..data/tls.crt")
    async with followed(file) as taken:
        (tmp_path / "turned").symlink_to("two")
        (tmp_path / "turned").replace(tmp_path / "..data")
        await until(lambda: taken.texts)
    assert taken.texts == ["two"]


async def test_what_does_not_change_is_left_alone(file: Path) -> None:
    async with followed(file) as taken:
        for _ in range(20):
            await asyncio.sleep(OFTEN_S)
    assert taken.tries == 0


async def test_a_file_is_not_reloaded_while_it_is_still_written(file: Path) -> None:
    looks = iter(range(5))

    def identity(_: Path) -> tuple[int, ...]:
        return (min(next(looks, 4), 3),)  # another one each time, until the fourth

    async with followed(file, identity=identity) as taken:
        await until(lambda: taken.tries)
        assert next(looks, None) is None
        await asyncio.sleep(5 * OFTEN_S)
    assert taken.tries == 1


@contextmanager
def errors(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    logged: list[str] = []
    with caplog.at_level(logging.INFO):
        yield logged
    logged += [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


@pytest.mark.parametrize(("text", "words"), [("bad", "this is unusable"), ("fault", "ZeroDivisionError")])
async def test_a_bad_file_is_logged_once_and_a_good_one_is_reloaded_afterwards(
    file: Path, caplog: pytest.LogCaptureFixture, text: str, words: str
) -> None:
    with errors(caplog) as logged:
        async with followed(file) as taken:
            write(file, text)
            await until(lambda: taken.tries == 1)
            await asyncio.sleep(10 * OFTEN_S)
            assert taken.tries == 1
            write(file, "better")
            await until(lambda: taken.texts)
    assert taken.texts == ["better"]
    assert len(logged) == 1
    assert words in logged[0]
    assert "stays in use" in logged[0]


async def test_a_file_that_is_away_for_a_while_is_followed_on(file: Path) -> None:
    async with followed(file) as taken:
        remove(file)
        await until(lambda: taken.tries == 1)
        write(file, "back")
        await until(lambda: taken.texts)
    assert taken.texts == ["back"]


async def test_a_change_between_the_first_look_and_the_following_is_seen(file: Path) -> None:
    taken = Taken(file)
    watched = Watched(file)
    write(file, "changed before it was followed")
    task = asyncio.create_task(watched.follow(taken, OFTEN_S))
    await until(lambda: taken.texts)
    task.cancel()


async def test_a_look_that_fails_is_followed_by_the_next(file: Path) -> None:
    faults: list[Exception] = []

    def failing(path: Path) -> tuple[int, ...] | None:
        if faults:
            raise faults.pop()
        return identity(path)

    async with followed(file, identity=failing) as taken:
        faults.append(RuntimeError("unforeseen"))
        await until(lambda: not faults)
        write(file, "second")
        await until(lambda: taken.texts == ["second"])
