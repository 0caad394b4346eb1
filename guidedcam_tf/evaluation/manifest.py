"""What a run was made with, so that somebody else can make it again."""

from __future__ import annotations

import platform
import subprocess
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("guidedcam-tf", "keras", "tensorflow", "numpy", "opencv-python", "pillow")


def environment() -> dict[str, object]:
    """Versions, the machine's kind, the time, and the revision where the package is a checkout."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
        "git": _revision(),
    }


def versions() -> dict[str, str | None]:
    """The versions of what numbers depend on; `None` of what is not installed as a package."""
    found: dict[str, str | None] = dict.fromkeys(PACKAGES)
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def made_with() -> str:
    """The versions and the revision in one line."""
    named = [f"{package} {found}" for package, found in versions().items() if found]
    return ", ".join([*named, *filter(None, [_revision()])])


def _revision() -> str | None:
    """The commit, with `"-dirty"` where files differ from it; `None` outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
