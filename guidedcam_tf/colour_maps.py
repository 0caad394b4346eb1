"""The look of overlays, apart from what draws them, so that naming it imports nothing."""

from __future__ import annotations

from typing import Literal

ColourMap = Literal["inferno", "magma", "viridis", "cividis", "turbo", "jet"]

OPACITY = 0.8
"""How much of an overlay is the map's colour where the map is 1."""
