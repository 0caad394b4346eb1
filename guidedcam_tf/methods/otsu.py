"""Otsu's threshold: the value that parts numbers into two groups best."""

from __future__ import annotations

import numpy as np


def otsu(values: np.ndarray) -> float:
    """Return the number t for which the values above t and the others differ most.

    The variance between the groups, w0 w1 (m0 - m1)^2, is computed for every value exactly, without
    a histogram. Otsu 1979, IEEE Transactions on Systems, Man, and Cybernetics 9(1).

    Args:
        values: Numbers, in any order and of any shape.

    Returns:
        One of the values; minus infinity where all are equal, so that all are above it.
    """
    ordered = np.sort(np.asarray(values, np.float64), axis=None)
    splits = np.flatnonzero(np.diff(ordered) > 0)
    if not len(splits):
        return -np.inf
    below, sums = splits + 1, np.cumsum(ordered)
    above = len(ordered) - below
    gaps = sums[splits] / below - (sums[-1] - sums[splits]) / above
    return float(ordered[splits[np.argmax(below * above * gaps**2)]])
