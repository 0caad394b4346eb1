"""Files of what the page shows, for their owner to take away."""

from __future__ import annotations

import tempfile
from pathlib import Path

from guidedcam_tf.explanation import Explanation
from guidedcam_tf.files import writing


def written(
    explanation: Explanation, program: str, colour_map: str, opacity: float
) -> tuple[Path, Path, Path]:
    """Write the overlay (PNG), the map (NPZ) and the program into a temporary folder of their own.

    `tempfile.tempdir` says where.
    """
    folder = Path(tempfile.mkdtemp(prefix="files-"))
    overlay, arrays, record = explanation.save(folder, colour_map, opacity)
    record.unlink()  # It names the server's folders.
    with writing(folder / "explain.py") as temporary:
        temporary.write_text(program, "utf-8")
    return overlay, arrays, folder / "explain.py"
