"""Reading samples ahead of the network, in parallel and in bounded memory.

The readers are a small pool of threads, not `tf.data`: what they run is Python (EXIF, palettes,
XML, RLE), which `tf.data` could only call back under the interpreter's lock, and whose arrays it
would copy once more; on VOC's pictures and masks that took 1.2 to 2 times as long. Pillow and NumPy
release the lock while they decode.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import field

import numpy as np

from guidedcam_tf.data.decoding import Decoded
from guidedcam_tf.data.orientation import Frame
from guidedcam_tf.data.pictures import read
from guidedcam_tf.data.samples import Label
from guidedcam_tf.data.samples import Sample
from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.errors import InputError

AHEAD = 16
"""How many samples are in memory at most, being read or waiting to be used."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A sample that was read.

    Attributes:
        id: Its identifier.
        picture: uint8 RGB `[H, W, 3]`, at its own size.
        labels: One for each class in it.
        void: Pixels that are left out of Dice and IoU, bool `[H, W]`, or `None`.
        decoded: What a network may take of the picture, where that is more than `picture`.
        values: What further inputs of a network get with it, by name.
    """

    id: str
    picture: np.ndarray
    labels: tuple[Label, ...] = ()
    void: np.ndarray | None = None
    decoded: Decoded | None = None
    values: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def content(self) -> Decoded:
        """What a network may take of the picture."""
        size = self.picture.shape[0], self.picture.shape[1]
        return self.decoded or Decoded(self.picture, Frame(size))


def load(
    samples: Iterable[Sample], *, workers: int | None = None, ahead: int = AHEAD
) -> Iterator[Loaded | Skipped]:
    """Read samples in their order, some of them ahead of the one that is asked for.

    What cannot be read comes as a `Skipped` in its place; nothing in a file ends the iteration.
    When it ends or is given up, no thread is left.

    Args:
        samples: What to read, such as `DataSet.samples`. It is itself read no further than `ahead`.
        workers: The number of threads; by default the number of processors, at most 8.
        ahead: The number of samples in memory at most, at least 1.

    Raises:
        InputError: If `workers` or `ahead` is under 1.
    """
    workers = min(8, os.cpu_count() or 1) if workers is None else workers
    for name, value in (("workers", workers), ("ahead", ahead)):
        if value < 1:
            raise InputError(f"{name} must be at least 1; received {value}")
    return _load_all(samples, workers, ahead)


def load_one(sample: Sample) -> Loaded | Skipped:
    """Read one sample."""
    try:
        decoded = _read(sample)
        annotation = sample.annotate(decoded.frame)
    except SampleError as error:
        return Skipped(sample.id, error.reason, str(error))
    # A decoder may raise anything on damaged bytes, and no file may end a run of thousands.
    except Exception as error:
        message = f"{sample.picture}: {type(error).__name__}: {error}"
        return Skipped(sample.id, "bad annotation", message)
    more = None if decoded.values is None else decoded
    shown, labels, void = decoded.shown, annotation.labels, annotation.void
    return Loaded(sample.id, shown, labels, void, more, sample.values)


def _read(sample: Sample) -> Decoded:
    try:
        return read(sample.picture)
    except Exception as error:
        if not sample.picture.exists():
            raise SampleError("missing picture", f"{sample.picture} does not exist") from error
        message = f"{sample.picture}: {type(error).__name__}: {error}"
        if isinstance(error, InputError):
            message = str(error)
        raise SampleError("unreadable picture", message) from error


def _load_all(samples: Iterable[Sample], workers: int, ahead: int) -> Iterator[Loaded | Skipped]:
    waiting: deque[Future[Loaded | Skipped]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="guidedcam-load")
    try:
        for sample in samples:
            waiting.append(pool.submit(load_one, sample))
            if len(waiting) == ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
