"""What a check or a benchmark comes to."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Verdict = Literal["passed", "failed", "inconclusive", "measured", "skipped", "error"]


@dataclass(frozen=True)
class Outcome:
    """What a check or a benchmark came to: a verdict, one line that says why, and metrics by name.

    A benchmark may add `samples`, every single value by what was measured (`ttft_ms`), for distributions; `curve`,
    metrics at several loads, each point with its `load`; and `spans`, of each part when its first request began and its
    last one ended, by `time.perf_counter` of this machine.

    Raises:
        TypeError: it is something else, which no report could tell.

    """

    verdict: Verdict
    detail: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    curve: Sequence[Mapping[str, float]] = ()
    spans: Sequence[tuple[float, float]] = ()

    def __post_init__(self) -> None:
        if self.verdict not in get_args(Verdict):
            raise TypeError(f"the verdict is {self.verdict!r}, not one of {', '.join(get_args(Verdict))}")
        if not isinstance(self.detail, str):
            raise TypeError(f"the detail is {self.detail!r}, not a text")
        for metrics in (self.metrics, *self.curve):
            if not isinstance(metrics, Mapping):
                raise TypeError(f"the metrics are {metrics!r}, not numbers by name")
            for name, value in metrics.items():
                if not (isinstance(name, str) and is_number(value)):
                    raise TypeError(f"the metric {name!r} is {value!r}, not a finite number by a name")
        if not all("load" in point for point in self.curve):
            raise TypeError("a point of the curve does not say its `load`")
        for name, values in self.samples.items():
            if not all(map(is_number, values)):
                raise TypeError(f"the samples of {name} are not all finite numbers")


def is_number(value: Any) -> bool:
    """Whether a metric may have this value: what is true or false, not finite, or a text is no number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def passed(detail: str = "") -> Outcome:
    return Outcome("passed", detail)


def failed(detail: str) -> Outcome:
    return Outcome("failed", detail)


def skipped(detail: str) -> Outcome:
    return Outcome("skipped", detail)
