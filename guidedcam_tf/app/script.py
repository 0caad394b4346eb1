"""The Python that makes the same picture as the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from guidedcam_tf.explanation import Explanation

OF_FILES = {"class_names", "fixed_inputs", "custom_objects"}
"""What is said of a network by files; `open_explainer` reads them."""


def script(
    explanation: Explanation, said: Mapping[str, Any], colour_map: str, opacity: float
) -> str:
    """Return a program that writes the same overlay and map into `out/`.

    Args:
        explanation: What is shown.
        said: What the network was opened with, by the names of `opening.NetworkConfig`'s keys.
        colour_map: The overlay's colours.
        opacity: The overlay's opacity.
    """
    words = {**said, "layer": explanation.layer}
    words = {name: str(v) if name in OF_FILES else v for name, v in words.items()}
    model = words.pop("model", "resnet50")
    picture = explanation.origin["picture"]["path"].replace("\\", "/").rsplit("/", 1)[-1]
    if OF_FILES & words.keys():
        lines = [
            f"    {quoted(name)}: {quoted(value)},"
            for name, value in {"model": model, **words}.items()
        ]
        opening = [
            "from guidedcam_tf.opening import open_explainer",
            "",
            "explainer = open_explainer({",
            *lines,
            "})",
        ]
    else:
        lines = [f"    {name}={quoted(value)}," for name, value in words.items()]
        opening = [
            "import guidedcam_tf as gcam",
            "",
            "explainer = gcam.Explainer(",
            f"    {quoted(model)},",
            *lines,
            ")",
        ]
    target = int(explanation.targets[0])
    asked = f"{quoted(picture)}, {target}, {quoted(explanation.method)}"
    saved = f'"out", colour_map={quoted(colour_map)}, opacity={opacity!r}'
    rest = [
        f"# {quoted(explanation.names[0])}",
        f"explanation = explainer.explain({asked})",
        f"explanation.save({saved})",
    ]
    return "\n".join([*opening, *rest, ""])


def quoted(value: Any) -> str:
    """A value as Python writes it, text in double quotes."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
