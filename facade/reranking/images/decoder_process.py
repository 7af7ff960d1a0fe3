"""A process that decodes images for `decoders`, until the other end of its socket closes. Knows nothing else.

Its memory is limited, so that a file for which a decoder takes too much fails alone.
"""

import json
import mmap
import os
import resource
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from facade.reranking.image_block import ImageBlock
from facade.reranking.images import ImageLimits, UnusableImageError, tiles_of

# Bytes for the decoding of a pixel: 20 were measured for the largest images of the dearest format.
_BYTES_A_PIXEL = 32


def serve(pipe: Connection, tiles: mmap.mmap, block: ImageBlock, limits: ImageLimits) -> None:
    """Answer each file with the number of its tiles, which are then in `tiles`, or with the reason why it can't be used."""
    shared = np.frombuffer(tiles, np.uint8)
    while True:
        try:
            content = pipe.recv_bytes()
        except EOFError:
            return
        try:
            found = tiles_of(content, block, limits)
            shared[: found.size] = found.reshape(-1)
            answer: dict[str, object] = {"tiles": len(found)}
        except UnusableImageError as refused:
            answer = {"reason": refused.reason, "too_large": refused.too_large}
        pipe.send_bytes(json.dumps(answer).encode())


def main(socket: int, memory: int) -> None:
    """Decode what comes through the inherited socket into the inherited memory."""
    pipe = Connection(socket)
    block, limits = json.loads(pipe.recv_bytes())
    _bound_memory(limits["pixels"] * _BYTES_A_PIXEL)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # decoders write a line about each broken file
    pipe.send_bytes(b"ready")
    serve(pipe, mmap.mmap(memory, 0), ImageBlock.of(block), ImageLimits(**limits))


def _bound_memory(more: int) -> None:
    """Let this process have that number of bytes beside those that it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
