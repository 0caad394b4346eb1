"""What a file is that no model can be read from, by its content."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile
from zipfile import is_zipfile

import h5py

HDF5, ZIP, LITERT = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"TFL3"

_BEGINNINGS = {
    b"version https://git-lfs": "a pointer of Git LFS: `git lfs pull` fetches the file itself",
    b"<": "a web page or XML: its download failed, or the address was a page's",
    b"{": "JSON, which holds no weights: build the network with keras.models.model_from_json, load "
    "its weights, and give the model",
}


def why_unreadable(file: Path) -> str:
    """What is wrong with a file as a model of Keras, and what to do; empty where nothing is seen.

    Raises:
        OSError: If it cannot be read.
    """
    with file.open("rb") as opened:
        head = opened.read(512)
    suffix = file.suffix.lower()
    if head.startswith(HDF5):
        if suffix not in (".h5", ".hdf5"):
            return f"it is HDF5: rename it to {file.stem}.h5"
        return "" if _has_network(file) else _ONLY_WEIGHTS
    if head.startswith(ZIP):
        if not is_zipfile(file):
            return "it is a ZIP archive whose end is missing: fetch or save it again"
        if not _is_keras(file):
            return f"it is a ZIP archive without a network of Keras's; {_EXPECTED}"
        return "" if suffix == ".keras" else f"it is a .keras file: rename it to {file.stem}.keras"
    kind = "neither HDF5 nor a .keras file: it is damaged, or of another library"
    if not head:
        kind = "empty (0 bytes)"
    elif head[4:8] == LITERT:
        kind = "a LiteRT (TensorFlow Lite) model, whose layers cannot be seen"
    elif suffix == ".onnx":
        kind = "an ONNX model, whose layers Keras does not know"
    elif head.isascii():
        kind = next(
            (kind for start, kind in _BEGINNINGS.items() if head.lstrip().startswith(start)), "text"
        )
    return f"it is {kind}; {_EXPECTED}"


_EXPECTED = "expected what model.save('model.keras') writes"
_ONLY_WEIGHTS = (
    "it holds weights and no network: build the network, call its load_weights, and give the "
    "model; or name the network and give the file as its weights (--weights)"
)


def _has_network(file: Path) -> bool:
    try:
        with h5py.File(file) as opened:
            return "model_config" in opened.attrs
    except OSError:  # It is damaged, which h5py says better.
        return True


def _is_keras(file: Path) -> bool:
    try:
        with ZipFile(file) as archive:
            return "config.json" in archive.namelist()
    except Exception:  # It is damaged, for which zipfile has many kinds of errors.
        return True
