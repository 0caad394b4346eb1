"""Which file answers a call, and whether what is in it still holds. TensorFlow is not needed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
import warnings
import zlib
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from guidedcam_tf.configuring import validate
from guidedcam_tf.errors import InputError
from guidedcam_tf.explanation import PACKAGES
from guidedcam_tf.files import cache_folder
from guidedcam_tf.files import writing
from guidedcam_tf.kept.explanation import KeptExplanation
from guidedcam_tf.networks import ClassNames
from guidedcam_tf.opening import NetworkConfig
from guidedcam_tf.origin import Setting
from guidedcam_tf.runtimes import openvino_model
from guidedcam_tf.storage import as_path
from guidedcam_tf.storage import is_remote

KEPT = 8
"""How many files are kept, those that were used last; each has the size of a network's weights."""

DAY = 86400.0

OTHER_TARGETS = re.compile(r"(class|box|detection|unit) |negative$")
"""Targets that are no classes, or are classes by another name; see `targets.words`."""

PLACES = ("GUIDEDCAM_WEIGHTS", "HOME", "KERAS_HOME", "XDG_CACHE_HOME")
"""The variables that say where weights are looked for."""


@dataclass(frozen=True)
class Request:
    """What a file answers to.

    Attributes:
        config: The network, with what `guidedcam.yaml` beside its file says.
        method: One method's name.
        options: The methods' options as text.
    """

    config: NetworkConfig
    method: str
    options: tuple[str, ...]

    @property
    def can_be_kept(self) -> bool:
        """Whether what answers is the same in another process, and runs in OpenVINO."""
        config = self.config
        return (
            config.runtime == "openvino"
            and openvino_model.is_installed()
            and config.weights is not None
            and config.custom_objects is None
            and config.fit == "squash"
            and not config.model.startswith("hub:")
            and not any(is_remote(as_path(name)) for name in named_files(config))
        )

    @cached_property
    def file(self) -> Path:
        """The file, whether it exists or not; another one for other versions or processors."""
        packages = [*PACKAGES, "openvino"]
        words = [
            self.config.model_dump(mode="json"),
            [str(file) for file in files_of(self.config)],
            [self.method, *sorted(self.options)],
            [sys.version, _digest_of_package(), *map(version, packages)],
            openvino_model.processor(),
            [os.environ.get(name) for name in PLACES],
        ]
        digest = hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()
        return cache_folder() / "explanations" / f"{digest[:32]}.openvino"

    def read(self) -> KeptExplanation | None:
        """Open the file; `None` if there is none, it is damaged, or weights have changed since."""
        try:
            with self.file.open("rb") as file:
                checksum, head, content = file.readline(), file.readline(), file.read()
            if checksum != _checksum(head, content):
                return None
            header = json.loads(head)
            if not _unchanged(header["files"]):
                return None
            words = header["setting"]
            words["classes"] = ClassNames(**{k: tuple(v) for k, v in words["classes"].items()})
            tuples = {name: tuple(words[name]) for name in ("outputs", "input_size")}
            setting = Setting(**{**words, **tuples})
            run = openvino_model.open_compiled(content, setting.origin["precision"])
            kept, notes = KeptExplanation(setting, run, header["layer_reason"]), header["notes"]
        except (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError):
            return None
        with suppress(OSError):
            os.utime(self.file)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return kept

    def write(
        self,
        content: bytes,
        setting: Setting,
        layer_reason: str,
        notes: Sequence[str],
        files: Mapping[str, str | None],
    ) -> None:
        """Make the file, whole or not at all.

        Args:
            content: What `open_compiled` opens.
            setting: As in `KeptExplanation`.
            layer_reason: As there.
            notes: What the user was told when the network was opened.
            files: As `digests` gives it.
        """
        header = {
            "files": files,
            "layer_reason": layer_reason,
            "notes": list(notes),
            "setting": asdict(setting),
        }
        head = json.dumps(header).encode() + b"\n"
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with writing(self.file) as temporary:
                temporary.write_bytes(_checksum(head, content) + head + content)
        except OSError as error:
            warnings.warn(f"{self.file.parent} keeps nothing: {error.strerror}", stacklevel=2)
        _tidy(self.file.parent)


def named_files(config: NetworkConfig) -> list[str]:
    """What a configuration names that may be files."""
    named = (config.model, config.weights, config.class_names, config.fixed_inputs)
    return [str(name) for name in named if name]


def files_of(config: NetworkConfig) -> list[Path]:
    """The files that a configuration names, wherever it is read."""
    return [Path(name).absolute() for name in named_files(config) if Path(name).is_file()]


def digests(files: Iterable[Path]) -> dict[str, str | None]:
    """The SHA-256 of what answers depend on, `None` where a file would be read and is not there."""
    return {str(file): _digest(file) for file in files}


def are_classes(targets: Sequence[str]) -> bool:
    """Whether what is explained are classes by their names or numbers, which a file knows."""
    return not any(OTHER_TARGETS.match(target) for target in targets)


def requests_of(said: Mapping[str, Any], methods: str, options: Sequence[str]) -> list[Request]:
    """A request for each method, of what `find_kept` takes."""
    config = validate(said, NetworkConfig, "options").resolved()
    return [Request(config, name.strip(), tuple(options)) for name in methods.split(",")]


def find_kept(
    said: Mapping[str, Any], methods: str, options: Sequence[str], targets: Sequence[str]
) -> list[KeptExplanation] | None:
    """Open the files that answer a call of the command line; `None` if one is not there.

    Args:
        said: What is said of the network, by the names of `NetworkConfig`'s keys.
        methods: One method, or several with commas.
        options: The methods' options.
        targets: What is explained; what is no class by its name is not answered.

    Raises:
        InputError: If what is said of the network has no such values.
    """
    if not are_classes(targets):
        return None
    found = []
    for request in requests_of(said, methods, options):
        kept = request.read() if request.can_be_kept else None
        if kept is None or not _has_all(kept.setting.classes, targets):
            return None
        found.append(kept)
    return found


def _has_all(classes: ClassNames, targets: Sequence[str]) -> bool:
    try:
        return all(classes.ids(target) for target in targets)
    except InputError:
        return False


def _checksum(head: bytes, content: bytes) -> bytes:
    """The first line of a file, of all that follows it."""
    return b"%08x\n" % zlib.crc32(content, zlib.crc32(head))


def _unchanged(files: Mapping[str, str | None]) -> bool:
    return digests(map(Path, files)) == dict(files)


def _digest(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def _digest_of_package() -> str:
    """A digest of this package's code, which may be another under the same version."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _tidy(folder: Path) -> None:
    """Remove the files that were not used for longest, and what a killed process left behind."""
    files = sorted(folder.glob("*.openvino"), key=_used, reverse=True)
    with suppress(OSError):  # A folder that can only be read.
        for file in files[KEPT:]:
            file.unlink(missing_ok=True)
    for partial in folder.glob(".partial-*"):
        if _used(partial) < time.time() - DAY:
            shutil.rmtree(partial, ignore_errors=True)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # Another process has removed it.
        return 0.0
