"""The mean of a metric over the pairs of picture and class, as they come."""

from __future__ import annotations

import math
from collections import Counter
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.metrics.registry import Metric


@dataclass(frozen=True)
class Summary:
    """What an aggregate has seen.

    Attributes:
        mean: The mean over pairs ("micro"); NaN where there are none.
        class_mean: The mean over classes of each class's mean; NaN where there are none.
        by_class: Each class's mean, in the order of the names.
        count: How many pairs are in the means.
        skipped: How many pairs are not, by reason.
        noted: How many of the pairs in the means were remarked on, by remark.
    """

    mean: float
    class_mean: float
    by_class: dict[str, float]
    count: int
    skipped: dict[str, int]
    noted: dict[str, int]


class Aggregate:
    """A streaming mean of one metric, that counts what it leaves out.

    Sums are exact, so the order of the pairs does not change a digit.

    Args:
        metric: A metric.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._sums: defaultdict[str, Fraction] = defaultdict(Fraction)
        self._counts: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._noted: Counter[str] = Counter()

    def update(self, value: float, class_name: str = "all", note: str | None = None) -> None:
        """Take in one pair.

        Args:
            value: The metric's value; NaN where it is not defined for the pair, which is then
                skipped and counted.
            class_name: The pair's class.
            note: The reason of a NaN (`"undefined"` if not given), or a remark on a pair that is
                kept, such as `"empty map"`.

        Raises:
            InputError: If the value is out of the metric's range.
        """
        low, high = self.metric.range
        if math.isnan(value):
            self._skipped[note or "undefined"] += 1
            return
        if not low <= value <= high:
            raise InputError(
                f"{self.metric.name} must be in [{low:g}, {high:g}]; received {shown(value)}"
            )
        self._sums[class_name] += Fraction(float(value))
        self._counts[class_name] += 1
        if note:
            self._noted[note] += 1

    def compute(self) -> Summary:
        """Return the means and counts so far."""
        means = {name: self._sums[name] / self._counts[name] for name in sorted(self._sums)}
        count = self._counts.total()
        return Summary(
            mean=float(sum(self._sums.values()) / count) if count else math.nan,
            class_mean=float(sum(means.values()) / len(means)) if count else math.nan,
            by_class={name: float(mean) for name, mean in means.items()},
            count=count,
            skipped=dict(sorted(self._skipped.items())),
            noted=dict(sorted(self._noted.items())),
        )
