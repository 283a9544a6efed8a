"""Detectors that the shipped dynamic baselines are measured against: three kept libraries' and two trivial ones.

Each gives one score for each point of one series; greater is stranger. All but the trivial ones are given the whole
series at once, what comes after a point included, which no night has: that is to their advantage. Does not belong here:
thresholds, which are chosen on the tuning set (``bench_baselines``).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from labelled_series import LabelledSeries

Scores = npt.NDArray[np.float64]
Detector = Callable[[LabelledSeries], Scores]

_NORMAL_MAD = 1.4826
# A pattern of the matrix profile: two hours, but so many points at least.
_PATTERNS_OF_A_DAY = 12
_FEWEST_POINTS_OF_PATTERN = 8


def global_band(series: LabelledSeries) -> Scores:
    """Distance from the median of all that came before, in spreads of it; learned day by day."""
    day = (series.seconds - series.seconds[0]) // 86_400
    scores = np.zeros(len(series.values))
    for number in np.unique(day)[1:]:
        before = series.values[day < number]
        before = before[np.isfinite(before)]
        if len(before):
            center = np.median(before)
            scores[day == number] = np.abs(series.values[day == number] - center) / _spread(before - center)
    return np.nan_to_num(scores)


def last_value(series: LabelledSeries) -> Scores:
    """Distance from the value before, in spreads of these distances."""
    steps = np.abs(np.diff(series.values, prepend=series.values[:1]))
    return np.nan_to_num(steps / _spread(steps[np.isfinite(steps)]))


def stl_residual(series: LabelledSeries) -> Scores:
    """What STL (statsmodels) leaves of the series after trend and daily season, in spreads."""
    from statsmodels.tsa.seasonal import STL

    values = _filled(series.values)
    if len(values) < 2 * series.points_per_day + 1:
        return np.zeros(len(values))
    residual = STL(values, period=max(2, series.points_per_day), robust=False).fit().resid
    return np.abs(residual) / _spread(residual)


def matrix_profile(series: LabelledSeries) -> Scores:
    """Distance of the pattern around a point from the most similar other one (stumpy), in spreads above the usual."""
    import stumpy

    values = _filled(series.values)
    size = max(_FEWEST_POINTS_OF_PATTERN, series.points_per_day // _PATTERNS_OF_A_DAY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba says that a CPU could be used better
        profile = stumpy.stump(values, m=size)[:, 0].astype(float)
    profile = np.nan_to_num(profile, posinf=0.0)
    # A point is as strange as the strangest pattern that it is the middle of.
    padded = np.concatenate([np.full(size // 2, profile[0]), profile, np.full(size - 1 - size // 2, profile[-1])])
    return np.maximum(padded - np.median(profile), 0) / _spread(profile - np.median(profile))


def isolation_forest(series: LabelledSeries) -> Scores:
    """How soon scikit-learn's isolation forest sets a point apart by value, step and time of day."""
    from sklearn.ensemble import IsolationForest

    values = _filled(series.values)
    angle = 2 * np.pi * (series.seconds % 86_400) / 86_400
    features = np.column_stack([values, np.diff(values, prepend=values[:1]), np.sin(angle), np.cos(angle)])
    spread = features.std(axis=0)
    forest = IsolationForest(n_estimators=100, random_state=0, n_jobs=1).fit(features / np.where(spread > 0, spread, 1))
    return np.asarray(-forest.score_samples(features / np.where(spread > 0, spread, 1)))


DETECTORS: dict[str, Detector] = {
    "median and MAD of what came before": global_band,
    "distance from the value before": last_value,
    "STL residual (statsmodels)": stl_residual,
    "matrix profile (stumpy)": matrix_profile,
    "isolation forest (scikit-learn)": isolation_forest,
}


def _spread(values: Scores) -> float:
    """1.4826 × MAD; where more than half of the values are equal the standard deviation, and never zero."""
    if not len(values):
        return 1.0
    mad = _NORMAL_MAD * float(np.median(np.abs(values - np.median(values))))
    return mad or float(np.std(values)) or 1.0


def _filled(values: Scores) -> Scores:
    """The values without gaps: what is missing lies on the line between its neighbours."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values))
    at = np.arange(len(values))
    return np.interp(at, at[known], values[known])
