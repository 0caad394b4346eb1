"""Several layers at once: a map of each, and what they make together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any
from typing import Literal
from typing import get_args

import numpy as np

from guidedcam_tf.data import Picture
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.methods import Method
from guidedcam_tf.networks import Network
from guidedcam_tf.targets import Targets

Fusion = Literal["mean", "layercam"]

GAMMA = 2.0
"""LayerCAM's factor before the hyperbolic tangent."""


def explain_layers(
    explainer: Explainer,
    picture: Picture,
    layers: str | Sequence[str],
    targets: Targets = "top1",
    method: str | Method = "guided",
    *,
    fusion: Fusion | None = None,
    **options: Any,
) -> list[Explanation]:
    """Explain one picture at several layers.

    Args:
        explainer: The network with its options.
        picture: As in `Explainer.explain`.
        layers: Names of layers, or patterns such as `"conv*_out"`; in one text, with commas.
        targets: As in `Explainer.explain`.
        method: As in `Explainer.explain`.
        fusion: As in `fuse`; `None` for the layers' maps alone.
        **options: The method's options.

    Returns:
        An explanation for each layer, in the order in which they are named, those of a pattern in
        the order in which they run; with `fusion`, the fused one after them.

    Raises:
        InputError: As `Explainer.explain` and `matching_layers`, or if there is no such fusion.
    """
    names = matching_layers(explainer.network, layers)
    found = [explainer.at(name).explain(picture, targets, method, **options) for name in names]
    return found if fusion is None else [*found, fuse(found, fusion)]


def matching_layers(network: Network, layers: str | Sequence[str]) -> list[str]:
    """Return the names of layers that names and patterns mean, each once.

    Args:
        network: The network.
        layers: As in `explain_layers`. In a pattern, `*` stands for anything and `?` for one sign.

    Raises:
        InputError: If a pattern matches no layer, or there is no layer of a name.
    """
    given = layers.split(",") if isinstance(layers, str) else layers
    is_list = isinstance(given, Sequence) and all(isinstance(name, str) for name in given)
    if not (is_list and given and all(map(str.strip, given))):
        raise InputError(f"layers must be names or patterns of layers; received {shown(layers)}")
    names: list[str] = []
    for pattern in map(str.strip, given):
        found = [pattern]
        if re.search(r"[*?]", pattern):
            found = [name for name in network.layers if fnmatchcase(name, pattern)]
        if not found:
            raise InputError(
                f"layer {pattern!r} matches no layer of {network.name!r} that can be explained; "
                f"they are {', '.join(network.layers)}"
            )
        names += [network.view(name).layer for name in found]
    return list(dict.fromkeys(names))


def fuse(explanations: Sequence[Explanation], fusion: Fusion = "mean") -> Explanation:
    """Make one explanation of those of several layers.

    Args:
        explanations: Of one picture, network, method and the same targets.
        fusion: `"mean"` of the maps; or `"layercam"`, the maximum of tanh(2 S / max S) at each
            pixel, as Jiang et al. 2021 (IEEE TIP 30) scale and fuse maps. They scale those of
            shallow layers; here all are, so that their order does not matter.

    Returns:
        The first explanation with the fused maps, which are `raw` too, and all layers' names.

    Raises:
        InputError: If there is no such fusion, no explanation, or they do not go together.
    """
    if fusion not in get_args(Fusion):
        raise InputError(
            f"fusion must be one of {', '.join(get_args(Fusion))}; received {shown(fusion)}"
        )
    if isinstance(explanations, (str, Explanation)) or not all(
        isinstance(each, Explanation) for each in explanations
    ):
        raise InputError(f"explanations must be a list of them; received {shown(explanations)}")
    if not explanations:
        raise InputError("explanations is empty; expected those of at least one layer")
    first = explanations[0]
    for other in explanations[1:]:
        of_one = (other.model, other.method, other.names) == (
            first.model,
            first.method,
            first.names,
        )
        # Two files of weights may have one name.
        of_one &= np.allclose(other.probabilities, first.probabilities, rtol=1e-3, atol=1e-5)
        if not of_one or not np.array_equal(other.picture, first.picture):
            raise InputError(
                "explanations must be of one picture, network, method and the same targets; "
                f"received {first} and {other}"
            )
    fused = fuse_maps(np.stack([each.maps for each in explanations]), fusion)
    names = [each.layer for each in explanations]
    return replace(
        first,
        maps=fused,
        raw=fused,
        intermediates={},
        layer=f"{' + '.join(names)} ({fusion})",
        origin={**first.origin, "layer": names, "fusion": fusion},
    )


def fuse_maps(maps: np.ndarray, fusion: Fusion) -> np.ndarray:
    """Finished maps `[layers, T, ...spatial]` as one, `[T, ...spatial]`; see `fuse`."""
    fused: np.ndarray = maps.mean(axis=0) if fusion == "mean" else _scaled(maps).max(axis=0)
    return fused


def _scaled(maps: np.ndarray) -> np.ndarray:
    """tanh(2 S / max S) for maps `[layers, T, ...spatial]`, each by itself; 0 stays 0."""
    peaks = maps.max(axis=tuple(range(2, maps.ndim)), keepdims=True)
    shares = np.divide(maps, peaks, out=np.zeros_like(maps), where=peaks > 0)
    result: np.ndarray = np.tanh(GAMMA * shares)
    return result
