"""Targets that are one number of an output `[N, units]`, by another name than a class's."""

from __future__ import annotations

from dataclasses import dataclass

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.networks import Network


@dataclass(frozen=True)
class Unit:
    """One unit of the output; see `unit`."""

    index: int

    def class_id(self, network: Network) -> int:
        """The index of the class that stands for it."""
        classes, units = network.classes, len(network.classes.names)
        if network.has_pair:
            units = 1
        if not 0 <= self.index < units:
            raise InputError(
                f"unit {self.index} is out of range: {network.name!r} gives {units} "
                f"number{'s' if units > 1 else ''}, 0 to {units - 1}"
            )
        return classes.check(1 if network.has_pair else self.index)


@dataclass(frozen=True)
class Negative:
    """The class that the one unit of a binary network speaks against; see `negative`."""

    def class_id(self, network: Network) -> int:
        """The index of the class."""
        if not network.has_pair:
            raise InputError(
                "target 'negative' is what the one unit of a binary network speaks against; "
                f"{network.name!r} has {len(network.classes.names)} outputs: name one of them"
            )
        return 0


def unit(index: int) -> Unit:
    """One number of the output `[N, units]` as a target: of a regression or an embedding.

    Of a binary network with one unit, unit 0 is that one, before its sigmoid.
    """
    if isinstance(index, bool) or not isinstance(index, int):
        raise InputError(f"index of a unit must be a number from 0; received {shown(index)}")
    return Unit(index)


def negative() -> Negative:
    """The class that the one unit of a binary network speaks against, as a target.

    It has index 0, the logit `-score` and, with `class_names=["cat"]`, the name "not cat".
    """
    return Negative()
