"""Files that are looked for, and the error for a folder that is not laid out as a data set."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from guidedcam_tf.errors import InputError

MOST_SHOWN = 12


def is_file(path: Path) -> bool:
    """Whether there is such a file; there is none of a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def find_file(folder: Path, name: str) -> Path | None:
    """Find a file that a list names, whose accents may be composed in one and not in the other."""
    forms = dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))))
    return next((folder / form for form in forms if is_file(folder / form)), None)


def read_lines(file: Path) -> list[str]:
    """Read a text's lines as `read_whole_lines`, without what is blank around them."""
    return [line.strip() for line in read_whole_lines(file)]


def read_whole_lines(file: Path) -> list[str]:
    """Read a text's lines, whatever editor wrote it: without a byte order mark, ends and comments.

    A comment is a line that starts with `#` and a space, or is `#` alone.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no UTF-8 text.
    """
    lines = file.read_bytes().decode("utf-8-sig").splitlines()
    return [line for line in lines if line.strip() and line.split()[0] != "#"]


def wrong_tree(root: Path, problem: str, expected: str) -> InputError:
    """Make the error that says what is wrong, which tree was expected and what was found.

    Args:
        root: The folder that was given.
        problem: One sentence without a full stop.
        expected: The tree, one line a file or folder.
    """
    lines = [problem, "expected:", *(f"  {line}" for line in expected.strip().splitlines())]
    return InputError("\n".join([*lines, f"found in {root}:", *(f"  {x}" for x in _listing(root))]))


def _listing(root: Path) -> list[str]:
    if not root.exists():
        nearest = next((parent for parent in root.absolute().parents if parent.exists()), root)
        return [f"no such folder; the nearest that exists is {nearest}"]
    if not root.is_dir():
        return ["a file, not a folder"]
    try:
        entries = sorted(f"{path.name}{'/' if path.is_dir() else ''}" for path in root.iterdir())
    except OSError as error:
        return [f"nothing that can be read: {error.strerror}"]
    more = len(entries) - MOST_SHOWN
    return [*entries[:MOST_SHOWN], *([f"... and {more} more"] if more > 0 else [])] or ["nothing"]
