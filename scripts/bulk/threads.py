"""Runs blocks on this machine: a few threads, each with a block at a time. Knows no rows."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from queue import SimpleQueue

from scripts.bulk.block import Block
from scripts.bulk.parts import Record
from scripts.bulk.worker import IN_FLIGHT, BlockWorker


def ranked(blocks: Iterable[Block], worker: BlockWorker) -> Generator[Record]:
    """The record of each block as soon as it is done. What goes wrong with one ends all, and is raised here.

    Closes the worker at the end; where the caller leaves off before it, that ends the blocks under way, too.
    """
    todo = iter(blocks)
    turn = threading.Lock()  # blocks are read in their order, which costs one pass over a file
    ended = threading.Event()
    told: SimpleQueue[Record | BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            while not ended.is_set():
                with turn:
                    block = next(todo, None)
                    if block is None:
                        break
                    rows = worker.read(block)
                told.put(worker.rank(block, rows))
        except BaseException as error:  # noqa: BLE001 (whatever it is, it is raised where somebody waits)
            told.put(error)
        told.put(None)

    working = [threading.Thread(target=work, name=f"block-{number}", daemon=True) for number in range(IN_FLIGHT)]
    for thread in working:
        thread.start()
    try:
        yield from _until_all_end(told)
    finally:
        ended.set()
        worker.close()
        for thread in working:
            thread.join()


def _until_all_end(told: SimpleQueue[Record | BaseException | None]) -> Iterator[Record]:
    working = IN_FLIGHT
    while working:
        found = told.get()
        if isinstance(found, BaseException):
            raise found
        if found is None:
            working -= 1
        else:
            yield found
