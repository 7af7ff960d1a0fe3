"""Runs blocks on this machine in a few threads, one block per thread at a time. Does not know rows."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from queue import SimpleQueue

from scripts.bulk.parts import Record
from scripts.bulk.rows import Block
from scripts.bulk.worker import IN_FLIGHT, BlockWorker


def ranked(blocks: Iterable[Block], worker: BlockWorker) -> Generator[Record]:
    """The record of each block as it finishes. An error in one block ends all of them and is raised here.

    Closes the worker at the end. If the caller stops early, the blocks in progress are ended, too.
    """
    todo = iter(blocks)
    turn = threading.Lock()  # blocks are read in order, which costs one pass over a file
    ended = threading.Event()
    results: SimpleQueue[Record | BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            while not ended.is_set():
                with turn:
                    block = next(todo, None)
                    if block is None:
                        break
                    rows = worker.read(block)
                results.put(worker.rank(block, rows))
        except BaseException as error:  # noqa: BLE001 (raised again in the caller's thread)
            results.put(error)
        results.put(None)

    working = [threading.Thread(target=work, name=f"block-{number}", daemon=True) for number in range(IN_FLIGHT)]
    for thread in working:
        thread.start()
    try:
        yield from _until_all_end(results)
    finally:
        ended.set()
        worker.close()
        for thread in working:
            thread.join()


def _until_all_end(results: SimpleQueue[Record | BaseException | None]) -> Iterator[Record]:
    working = IN_FLIGHT
    while working:
        result = results.get()
        if isinstance(result, BaseException):
            raise result
        if result is None:
            working -= 1
        else:
            yield result
