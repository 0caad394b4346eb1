"""What the files of samples hold, as hashes, so that a change of one is seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from guidedcam_tf.data.samples import Sample

_READERS = 8


def contents_of(samples: Iterable[Sample]) -> dict[str, str]:
    """Return a SHA-256 over each sample's picture and annotations, by the sample's identifier.

    A file that is not there, or cannot be read, counts as one of no other content.
    """
    samples = list(samples)
    with ThreadPoolExecutor(_READERS, thread_name_prefix="guidedcam-contents") as pool:
        hashes = list(pool.map(_sha256_of, samples))
    return {sample.id: found for sample, found in zip(samples, hashes, strict=True)}


def _sha256_of(sample: Sample) -> str:
    hashes = (_file_sha256(file) for file in (sample.picture, *sample.annotations))
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _file_sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return "unread"
