"""Calls with images: their files are decoded a few at a time, a thread of its own computes features, and rows go on to the scheduler.

Text alone never comes here. A file that several calls send at a time is decoded and computed once, and its features are kept in a cache. A
call is answered once: refused for its images, given up where its client has disconnected, or passed on. No Triton import.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np

from facade.errors import OverloadedError, RerankerError, ScoringError
from facade.reranking.image_block import ImageBlock
from facade.reranking.images import UnusableImageError
from facade.reranking.tensors import IMAGES_WAIT
from facade.unforeseen import in_a_line
from reranker.aside import Aside, Task, logged
from reranker.calls import Answer, Call
from reranker.engines.engine import Features, Tiles, Vision
from reranker.vision.arrival import Waits, file_bytes, look_up, read_call
from reranker.vision.backlog import Backlog, Bounds, Part
from reranker.vision.cache import FeatureCache
from reranker.vision.images import Image
from reranker.vision.passes import see
from reranker.vision.waiting_call import Refuse, WaitingCall, bad_image

LOG = logging.getLogger(__name__)


class VisionStage:
    """Takes calls with images and passes them on to `submit`, with features in the rows.

    `decode` returns a file's tiles or raises UnusableImageError; threads call it, `decoders` at a time. `tile_budget`: tiles of a pass, for
    its memory. `asked` gets how many of a call's rows had features and how many had not, `seen` the tiles of every pass. An unexpected
    exception fails at most the calls of its image.
    """

    def __init__(  # noqa: PLR0913 (values of their own)
        self,
        vision: Vision,
        submit: Callable[[Call], None],
        block: ImageBlock,
        *,
        decode: Callable[[bytes], Tiles],
        decoders: int = 2,
        tile_budget: int,
        cache: FeatureCache,
        waits: Waits,
        asked: Callable[[int, int], None] = lambda *_: None,
        seen: Callable[[int], None] = lambda _: None,
        bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
    ) -> None:
        self._vision = vision
        self._submit = submit
        self._block = block
        self._tiles_of = decode
        self._tile_budget = tile_budget
        self._waits = waits
        self._asked = asked
        self._counted = seen
        self._bounds = bounds
        self._changed = threading.Condition()  # guards what follows, and the calls and images in the backlog
        self._cache = cache
        self._backlog = Backlog(bounds)
        self._unsettled = 0  # calls
        self._held = 0  # bytes of their files
        self._decoding = 0
        self._closed = False
        self._aside = Aside("image-calls", "a call with images could not be handled")
        self._most_decoding = decoders
        self._decoders = ThreadPoolExecutor(decoders, "decoder")
        self._thread = threading.Thread(target=self._work, name="vision", daemon=True)
        self._thread.start()

    def take(self, call: Call, refuse: Refuse) -> None:
        """Return at once; the call is answered by another thread, or its refusal handed to `refuse`. Raises OverloadedError."""
        size = file_bytes(call)
        with self._changed:
            if self._held and self._held + size > self._bounds.file_bytes:
                raise OverloadedError(f"{self._held} {IMAGES_WAIT}, and this call would exceed the limit; retry later")
            self._held += size
            self._unsettled += 1
        self._aside.put(partial(self._enter, call, refuse, size))

    def waiting_tiles(self) -> int:
        """Tiles whose features are asked for and not there."""
        with self._changed:
            return self._backlog.waiting_tiles()

    def close(self) -> None:
        """Return when every call has been refused, given up or passed on, and the threads have ended."""
        with self._changed:
            self._changed.wait_for(lambda: not self._unsettled)
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._decoders.shutdown()
        self._aside.close()

    def _enter(self, call: Call, refuse: Refuse, size: int) -> None:
        """Let a call wait for its images, or pass it on where the cache has all of them."""
        waiting = WaitingCall(call, refuse, {}, {}, 0.0, size)  # if that can't be found out
        try:
            waiting, files = read_call(call, refuse, self._block, self._waits)
            with self._changed:
                look_up(waiting, files, self._backlog, self._cache, self._block.tokens_per_tile)
                with logged("images could not be counted"):
                    self._asked(waiting.ready, len(waiting.digests) - waiting.ready)
                if waiting.is_complete:
                    self._pass_on(waiting)
                else:
                    self._backlog.join(waiting, files)
                    self._start_decoding()
        except Exception as error:  # noqa: BLE001 (whatever it is, the call has to be answered)
            with self._changed:
                self._refuse(waiting, error if isinstance(error, RerankerError) else _unforeseen(error))

    def _start_decoding(self) -> None:
        while self._decoding < self._most_decoding and (image := self._backlog.next_to_decode()):
            image.is_begun = True
            self._decoding += 1
            self._decoders.submit(self._read, image)
        self._changed.notify_all()

    def _read(self, image: Image) -> None:
        pixels: Tiles | None = None
        fault: Exception | None = None
        try:
            pixels = self._pixels(image)
        except Exception as error:  # noqa: BLE001 (whatever it is, it fails the image's calls)
            fault = error
        with self._changed:
            self._decoding -= 1
            self._decoded(image, pixels, fault)
            self._start_decoding()

    def _pixels(self, image: Image) -> Tiles | None:
        """The tiles of an image; None where no client waits for it. Raises UnusableImageError."""
        with self._changed:
            if not self._is_wanted(image):
                return None
        return self._tiles_of(image.content)

    def _decoded(self, image: Image, pixels: Tiles | None, fault: Exception | None) -> None:
        """Put an image up for vision, and refuse the calls that can't use it."""
        image.content = b""
        if pixels is not None:
            image.pixels, image.tiles = pixels, len(pixels)
        for waiting in list(image.waiting_calls):
            row = waiting.places[image.digest].row
            if isinstance(fault, UnusableImageError):
                self._refuse(waiting, bad_image(row, fault.reason))
            elif fault:
                self._refuse(waiting, _unforeseen(fault))
            elif mismatch := waiting.mismatch(image.digest, image.tiles):
                self._refuse(waiting, mismatch)

    def _work(self) -> None:
        while parts := self._next():
            outcomes = see(self._vision, [part.tiles for part in parts])
            with self._changed:
                for part, outcome in zip(parts, outcomes, strict=True):
                    self._seen(part.image, outcome)
                self._start_decoding()
            with logged("a vision pass could not be counted"):
                self._counted(sum(len(part.tiles) for part in parts))

    def _next(self) -> list[Part]:
        """The next pass; empty once the stage is closed."""
        with self._changed:
            while not (parts := self._backlog.next_pass(self._tile_budget, self._is_wanted)) and not self._closed:
                self._changed.wait()
            now = time.perf_counter()
            for waiting in (waiting for part in parts for waiting in part.image.waiting_calls):
                waiting.started = waiting.started or now
            return parts

    def _seen(self, image: Image, outcome: Features | ScoringError) -> None:
        """Note the features of some tiles; the calls that have all of theirs go on."""
        if image not in self._backlog:  # all clients have disconnected meanwhile
            return
        if isinstance(outcome, ScoringError):
            for waiting in list(image.waiting_calls):
                row = waiting.places[image.digest].row
                self._refuse(waiting, ScoringError(f"the features of row {row} could not be computed; the server's log says why"))
            return
        image.done.append(outcome)
        if image.seen < image.tiles:
            return
        features = np.concatenate(image.done).reshape(-1, outcome.shape[-1])
        self._cache.put(image.digest, features)
        for waiting in self._backlog.finish(image):
            waiting.features[image.digest] = features
            if waiting.is_complete:
                self._pass_on(waiting)

    def _is_wanted(self, image: Image) -> bool:
        """Whether a client still waits for it; calls whose clients have disconnected are given up on the way to the first that has not."""
        while image.waiting_calls and (waiting := image.waiting_calls[0]).is_gone(self._waits.known_s):
            self._backlog.leave(waiting)
            self._settle(waiting, partial(waiting.call.answered, None))
            self._start_decoding()
        return bool(image.waiting_calls)

    def _refuse(self, waiting: WaitingCall, error: RerankerError) -> None:
        self._backlog.leave(waiting)
        self._settle(waiting, partial(waiting.refuse, error))

    def _pass_on(self, waiting: WaitingCall) -> None:
        self._settle(waiting, partial(self._hand_over, waiting))

    def _settle(self, waiting: WaitingCall, task: Task) -> None:
        if not waiting.settled:
            waiting.settled = True
            self._held -= waiting.size
            self._unsettled -= 1
            self._aside.put(task)  # Triton takes most of a millisecond for an answer
            self._changed.notify_all()

    def _hand_over(self, waiting: WaitingCall) -> None:
        call = waiting.call
        try:
            self._submit(Call(waiting.rows(), partial(self._answered, waiting), call.gone, bulk=call.bulk))
        except Exception as error:  # noqa: BLE001 (as in _enter)
            with self._changed:
                self._backlog.release(waiting)
            waiting.refuse(_unforeseen(error))

    def _answered(self, waiting: WaitingCall, answer: Answer | None) -> None:
        """Free the call's room; its time begins with its first vision pass, where it had one."""
        with self._changed:
            self._backlog.release(waiting)
            self._start_decoding()
        if answer and waiting.started:
            answer = replace(answer, seconds=time.perf_counter() - waiting.started)
        waiting.call.answered(answer)


def _unforeseen(error: Exception) -> ScoringError:
    LOG.error("an image could not be handled: %s", in_a_line(error))
    return ScoringError("an unforeseen error; the server's log says why")
