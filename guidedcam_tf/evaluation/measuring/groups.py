"""Methods by what tables call them, and which of them are computed together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from guidedcam_tf.evaluation.config import MethodConfig
from guidedcam_tf.methods import Method
from guidedcam_tf.methods import get_method
from guidedcam_tf.methods.base import GradientMethod
from guidedcam_tf.methods.together import Together


@dataclass(frozen=True)
class Group:
    """Methods that are computed together, by their labels in the tables.

    Attributes:
        methods: The methods by their labels.
        only: The identifiers of the pictures that they are computed on; `None` for all.
    """

    methods: Mapping[str, Method]
    only: frozenset[str] | None = None

    def covers(self, image: str) -> bool:
        """Whether the methods are computed on a picture."""
        return self.only is None or image in self.only

    @cached_property
    def method(self) -> Method:
        """The one method that computes them all."""
        methods = tuple(self.methods.values())
        return methods[0] if len(methods) == 1 else Together(methods)  # type: ignore[arg-type]

    @property
    def outputs(self) -> dict[str, str]:
        """Where each label's map is in what the method returns."""
        if len(self.methods) == 1:
            return dict.fromkeys(self.methods, "saliency")
        return {label: str(place) for place, label in enumerate(self.methods)}


def group_methods(
    methods: Mapping[str, Method], parts: Mapping[str, frozenset[str]] | None = None
) -> list[Group]:
    """Put the one-pass methods into one group, and each other method into one of its own.

    Args:
        methods: The methods by their labels.
        parts: For the labels that are computed on a part of the pictures, these pictures.
    """
    parts = parts or {}
    one_pass = {
        label: method
        for label, method in methods.items()
        if isinstance(method, GradientMethod) and not method.many_passes and label not in parts
    }
    others = [
        Group({label: method}, parts.get(label))
        for label, method in methods.items()
        if label not in one_pass
    ]
    return ([Group(one_pass)] if one_pass else []) + others


def labelled_method(entry: str | MethodConfig) -> tuple[str, Method]:
    """Return what a table calls an entry of `methods`, and the method."""
    if isinstance(entry, str):
        return entry, get_method(entry)
    return entry.label, get_method(entry.name, **entry.options)
