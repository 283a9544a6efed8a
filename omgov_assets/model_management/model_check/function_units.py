"""What is known of DuckDB's functions: which keep the unit of their argument, which give one of their own, which null.

Functions that are not listed are unknown, and nothing is claimed of what they give.
"""

from __future__ import annotations

from sqlglot import exp

from omgov_assets.model_management.model_check.unit_algebra import Measure, of_code

# What an average or a maximum of values says only where all of them are in one unit.
MIXES_METRICS = frozenset({
    "sum", "fsum", "kahan_sum", "sumkahan", "sum_no_overflow", "avg", "mean", "favg", "min", "max", "median", "mode",
    "quantile", "quantile_cont", "quantile_disc", "approx_quantile", "mad", "stddev", "stddev_samp", "stddev_pop",
})  # fmt: skip
KEEPS_UNIT = MIXES_METRICS | frozenset({
    "first", "last", "any_value", "arbitrary", "first_value", "last_value", "nth_value", "lag", "lead", "arg_max",
    "arg_min", "argmax", "argmin", "max_by", "min_by", "abs", "round", "floor", "ceil", "ceiling", "trunc", "even",
    "try", "fmod", "mod",
})  # fmt: skip
# Null where an argument is.
STRICT = frozenset({
    "lower", "upper", "trim", "ltrim", "rtrim", "substr", "substring", "replace", "split_part", "strftime", "strptime",
    "abs", "round", "floor", "ceil", "ceiling", "trunc", "make_timestamptz", "make_timestamp", "epoch", "epoch_ms",
    "epoch_us", "epoch_ns", "to_timestamp", "length", "reverse", "left", "right", "date_trunc", "string_split", "md5",
    "sha256", "attimezone", "dpipe", "neg", "mod", "pow", "try", "try_strptime", "date_diff", "datediff",
})  # fmt: skip
# Null where the argument is not what it should be.
TRIES = frozenset({"try", "try_strptime"})
NEVER_NULL = frozenset({"pi", "e"})

_EPOCHS = {"epoch": "s", "epoch_ms": "ms", "epoch_us": "us", "epoch_ns": "ns"}
_DIFFERENCES = frozenset({"date_diff", "datediff", "date_sub", "datesub"})
_DATE_PARTS = {
    "microsecond": "us", "microseconds": "us", "us": "us", "usec": "us", "usecs": "us",
    "millisecond": "ms", "milliseconds": "ms", "ms": "ms", "msec": "ms", "msecs": "ms",
    "second": "s", "seconds": "s", "sec": "s", "secs": "s", "s": "s",
    "minute": "min", "minutes": "min", "min": "min", "mins": "min", "m": "min",
    "hour": "h", "hours": "h", "hr": "h", "hrs": "h", "h": "h",
    "day": "d", "days": "d", "d": "d", "dayofmonth": "d",
    "week": "wk", "weeks": "wk", "w": "wk",
}  # fmt: skip


def unit_of_call(name: str, node: exp.Expr) -> Measure | None:
    """The unit that a function gives whatever its arguments are in; None where there is none."""
    if name in _EPOCHS:
        return of_code(_EPOCHS[name])
    if name in _DIFFERENCES:
        return of_code(_DATE_PARTS.get(_part(node)))
    if name in ("extract", "date_part", "datepart") and _part(node) == "epoch":
        return of_code("s")
    return None


def _part(node: exp.Expr) -> str:
    """The part of a date that a function is asked for."""
    candidates = [node.args.get("unit"), node.args.get("this"), *node.args.get("expressions", [])]
    for candidate in candidates:
        if isinstance(candidate, exp.Var) or (isinstance(candidate, exp.Literal) and candidate.is_string):
            return str(candidate.name).lower()
    return ""
