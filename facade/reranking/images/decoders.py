"""Decoders in processes of their own: a file that crashes a decoder, or takes it too long, costs that file alone. Knows no calls.

A decoder is a C library that reads what strangers send. Beside the engine, in threads, its crash would end the engine.
"""

import json
import logging
import mmap
import os
import queue
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facade.reranking.image_block import ImageBlock
from facade.reranking.images.limits import ImageLimits, UnusableImageError

LOG = logging.getLogger(__name__)
_PROCESS = "facade.reranking.images.decoder_process"
_START_S = 60.0  # of a process, which takes half a second on an idle machine; not part of a file's time

# Pillow decodes a page in some 50 ms; eight processes decode 160 pages a second, more than a GPU takes.
FEWEST, MOST = 2, 8


def decoders_for(cores: int) -> int:
    """Images to decode at a time: by half of the cores, so that the others compute."""
    return min(max(cores // 2, FEWEST), MOST)


class Decoders:
    """A number of processes, each of which decodes one image at a time. They end with this process, however that ends.

    `timeout_s`: seconds after which a file is given up; a page takes a fifth of one, the largest images two.
    """

    def __init__(self, count: int, block: ImageBlock, limits: ImageLimits, timeout_s: float = 10.0) -> None:
        self._block, self._limits, self._timeout_s = block, limits, timeout_s
        self._free: queue.SimpleQueue[_Decoder] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(_Decoder(block, limits))
        self._count = count

    def tiles_of(self, content: bytes) -> NDArray[np.uint8]:
        """As `images.tiles_of`, by the first process that is free. May be called by several threads.

        Raises UnusableImageError, also for a file that a decoder crashes at.
        """
        decoder = self._free.get()
        try:
            for _ in range(2):  # a process may also have been ended from outside
                try:
                    return decoder.tiles_of(content, self._timeout_s)
                except (OSError, EOFError) as fault:
                    LOG.warning("an image's decoder ended, or took more than %g s, and is started anew", self._timeout_s)
                    decoder.close()
                    decoder = _Decoder(self._block, self._limits)
                    if isinstance(fault, TimeoutError):
                        break
            raise UnusableImageError("the file can't be decoded")
        finally:
            self._free.put(decoder)

    def close(self) -> None:
        """End all processes, once each is free."""
        for _ in range(self._count):
            self._free.get().close()


class _Decoder:
    """One process. Files go to it through a socket; the tiles come back in memory that both share."""

    def __init__(self, block: ImageBlock, limits: ImageLimits) -> None:
        self._shape = (-1, 3, block.tile_size, block.tile_size)
        size = (block.most_tiles + 1) * 3 * block.tile_size**2
        ours, theirs = socket.socketpair()
        memory = os.memfd_create("tiles")
        os.ftruncate(memory, size)
        self._tiles = mmap.mmap(memory, size)
        self._pipe = Connection(ours.detach())
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (nothing of a request is in it)
                [_python(), "-P", "-m", _PROCESS, str(theirs.fileno()), str(memory)],
                pass_fds=(theirs.fileno(), memory),
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
            )
        os.close(memory)
        self._pipe.send_bytes(json.dumps([asdict(block), asdict(limits)]).encode())
        self._is_ready = False

    def tiles_of(self, content: bytes, timeout_s: float) -> NDArray[np.uint8]:
        """Raises OSError or EOFError where the process has ended or takes too long."""
        if not self._is_ready:
            self._receive(_START_S)
            self._is_ready = True
        self._pipe.send_bytes(content)
        answer = json.loads(self._receive(timeout_s))
        if "reason" in answer:
            raise UnusableImageError(**answer)
        tiles = np.frombuffer(self._tiles, np.uint8).reshape(self._shape)
        return tiles[: answer["tiles"]].copy()

    def _receive(self, timeout_s: float) -> bytes:
        if not self._pipe.poll(timeout_s):
            raise TimeoutError
        return self._pipe.recv_bytes()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()


def _python() -> str:
    """This Python's program. Triton's stub embeds Python and is no such program itself: it has the environment of the first on PATH."""
    here = Path(sys.executable or "")
    return str(here) if here.name.startswith("python") else shutil.which("python") or shutil.which("python3") or "python"
