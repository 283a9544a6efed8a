"""How well scores find labelled anomalies: by points over all thresholds, by events at one threshold.

Belongs here: the measures. No point adjustment: a hit on one point of an event counts for the event once and for no
other point, and every run of flagged points that touches no event is a false alarm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Events:
    """Events found of all, and runs of flagged points that touch one of all."""

    found: int
    events: int
    right: int
    alarms: int

    def __add__(self, other: Events) -> Events:
        return Events(
            self.found + other.found,
            self.events + other.events,
            self.right + other.right,
            self.alarms + other.alarms,
        )

    @property
    def recall(self) -> float:
        """Share of events with a flagged point."""
        return self.found / self.events if self.events else 0.0

    @property
    def precision(self) -> float:
        """Share of alarms that touch an event."""
        return self.right / self.alarms if self.alarms else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def average_precision(scores: Scores, labels: Labels) -> float | None:
    """Area under the precision-recall curve over points; None without an anomaly. Points of one score come together."""
    if not labels.any():
        return None
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    recall = hits[last] / hits[-1]
    precision = hits[last] / (last + 1)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def events_of(scores: Scores, labels: Labels, threshold: float) -> Events:
    """Events and alarms at a threshold: runs of labelled points, and runs of points whose score is above it."""
    flagged = scores > threshold
    events, alarms = list(_runs(labels)), list(_runs(flagged))
    return Events(
        sum(bool(flagged[begin:end].any()) for begin, end in events),
        len(events),
        sum(bool(labels[begin:end].any()) for begin, end in alarms),
        len(alarms),
    )


def best_threshold(judged: Iterable[tuple[Scores, Labels]], candidates: Iterable[float]) -> float:
    """The candidate with the greatest F1 over all events; of equals the greatest."""
    known = list(judged)
    nothing = Events(0, 0, 0, 0)

    def quality(threshold: float) -> tuple[float, float]:
        return sum((events_of(scores, labels, threshold) for scores, labels in known), nothing).f1, threshold

    return max(candidates, key=quality)


def _runs(marked: Labels) -> Iterable[tuple[int, int]]:
    edges = np.diff(np.concatenate([[0], marked.astype(np.int8), [0]]))
    return zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True)
