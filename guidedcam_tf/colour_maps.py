"""The names of the colour maps, apart from what draws them, so that naming one imports nothing."""

from __future__ import annotations

from typing import Literal

ColourMap = Literal["inferno", "magma", "viridis", "cividis", "turbo", "jet"]
