"""Proposing quality policies from a table's profile, in Great Expectations' own JSON, for a steward to edit.

Every proposed policy passes on the data it comes from. Bounds have margins: what is proposed shall find what is out of
the ordinary tomorrow, not what is merely new. Does not belong here: measuring (``profiling``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from omgov_assets.data_lake.masks import OPEN_GRADE
from omgov_assets.model_management.documents import content_hash
from omgov_assets.quality_policy.policies import QualityDimension, Severity
from omgov_assets.quality_policy.profiling import ColumnProfile, Number, TableProfile

# Of the span between the bounds seen, what is added on either side.
MARGIN = 0.1
# Days that dates may lie beyond those seen: a bound on dates is for lost and mistyped years.
DATE_MARGIN = timedelta(days=366)
# A share of values that holds today is asked for with this much less.
SHARE_MARGIN = 0.05
LEAST_SHARE = 0.5

_RECOVERY = "Ask who delivers {dataset} to correct {what}, or correct this policy where the data is right."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID_LENGTH = 48
# Below it every whole number is a number of JSON.
_EXACT = 2**53


def propose_suite(
    profile: TableProfile,
    dataset: str,
    grades: Mapping[str, int] | None = None,
    *,
    table_is_governed: bool = False,
) -> dict[str, Any]:
    """A suite that the profiled table passes.

    Args:
        profile: the table.
        dataset: name of the dataset, which policy ids begin with.
        grades: classification level by column, where it is known; no value of a higher column is put into the suite.
        table_is_governed: whether a data contract says already which columns there are, and of what type.

    Returns:
        The suite as Great Expectations' JSON, each expectation with all ``meta`` that omgov asks for.
    """
    writer = _Writer(dataset, profile.rows)
    closed = {name for name, grade in (grades or {}).items() if grade > OPEN_GRADE}
    if not table_is_governed:
        writer.columns(profile)
    if profile.rows:
        writer.row_count()
        if profile.compound_key:
            writer.compound_key(profile.compound_key)
        for column in profile.columns:
            writer.nulls(column)
            if column.unique:
                writer.uniqueness(column)
            if column.present and column.name not in closed:
                writer.content(column)
    return {
        "name": dataset,
        "expectations": writer.expectations,
        "notes": f"Proposed from a profile of {profile.rows} rows. It knows what is, not what should be: edit it.",
        "meta": {},
    }


@dataclass
class _Writer:
    """The expectations written so far, and the ids they took."""

    dataset: str
    rows: int
    expectations: list[dict[str, Any]] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def columns(self, profile: TableProfile) -> None:
        """The columns there are, and their types; other columns may come."""
        names = [column.name for column in profile.columns]
        self._add(
            "expect_table_columns_to_match_set", "columns_there", "column_missing", "coverage", "critical",
            f"these columns: {', '.join(names)}", "its columns", column_set=names, exact_match=False,
        )  # fmt: skip
        for column in profile.columns:
            if column.kind != "other" and not column.sql_type.startswith("ENUM"):
                name = _slug(column.name)
                self._add(
                    "expect_column_values_to_be_of_type", f"{name}_typed", f"{name}_of_other_type", "conformity",
                    "critical", f"the type {column.sql_type}", f"the type of {column.name}",
                    column=column.name, type_=column.sql_type,
                )  # fmt: skip

    def row_count(self) -> None:
        """Between half and twice as many rows."""
        least, most = max(1, self.rows // 2), self.rows * 2
        self._add(
            "expect_table_row_count_to_be_between", "row_count_usual", "row_count_unusual", "coverage", "warning",
            f"{least} to {most} rows (seen: {self.rows})", "the delivery", min_value=least, max_value=most,
        )  # fmt: skip

    def compound_key(self, names: tuple[str, ...]) -> None:
        """Columns that together tell a row."""
        self._add(
            "expect_compound_columns_to_be_unique", "key_unique", "key_duplicate", "uniqueness", "warning",
            f"each combination of {', '.join(names)} once", "the duplicates", column_list=list(names),
        )  # fmt: skip

    def nulls(self, column: ColumnProfile) -> None:
        """As many values as there are, or nearly; none in a column without any."""
        name = _slug(column.name)
        share = _share(column.present, self.rows)
        if column.present == 0:
            self._add(
                "expect_column_values_to_be_null", f"{name}_empty", f"{name}_present", "completeness", "info",
                f"no {column.name}: no row had one", column.name, column=column.name,
            )  # fmt: skip
        elif share is not None:
            what = f"a value of {column.name}"
            self._add(
                "expect_column_values_to_not_be_null", f"{name}_given", f"{name}_missing", "completeness",
                "warning" if share == 1 else "info",
                what if share == 1 else f"{what} in {share:.0%} of the rows (seen: {column.present / self.rows:.1%})",
                f"missing {column.name}", column=column.name, **_mostly(share),
            )  # fmt: skip

    def uniqueness(self, column: ColumnProfile) -> None:
        """No value twice."""
        name = _slug(column.name)
        self._add(
            "expect_column_values_to_be_unique", f"{name}_unique", f"{name}_duplicate", "uniqueness", "warning",
            f"each {column.name} once", f"duplicates of {column.name}", column=column.name,
        )  # fmt: skip

    def content(self, column: ColumnProfile) -> None:
        """What the values are: one of a set, within bounds, of a shape, or of a length."""
        if column.values is not None and _makes_a_set(column.values):
            self._value_set(column)
        elif column.kind in {"integer", "real"} and not column.unique:
            self._number_range(column)
        elif column.kind in {"date", "instant"}:
            self._date_range(column)
        elif column.kind == "text":
            share = _share(column.pattern[1], column.present) if column.pattern else None
            if column.pattern is not None and share is not None:
                self._pattern(column, column.pattern[0], share)
            self._lengths(column)

    def _value_set(self, column: ColumnProfile) -> None:
        values = list(column.values or ())
        name = _slug(column.name)
        self._add(
            "expect_column_values_to_be_in_set", f"{name}_known", f"{name}_unknown", "conformity", "warning",
            f"one of {', '.join(map(str, values))}", column.name, column=column.name, value_set=values,
        )  # fmt: skip

    def _number_range(self, column: ColumnProfile) -> None:
        share = _share(column.finite, column.present)
        bounds = _number_bounds(column.minimum, column.maximum)
        if share is None or bounds is None:
            return
        self._range(column, bounds, (column.minimum, column.maximum), share)

    def _date_range(self, column: ColumnProfile) -> None:
        share = _share(column.finite, column.present)
        if share is None or column.minimum is None or column.maximum is None:
            return
        unit = timedelta(days=1) if column.kind == "date" else timedelta(microseconds=1)
        try:
            first, last = _EPOCH + int(column.minimum) * unit, _EPOCH + int(column.maximum) * unit
            margin = max(last - first, DATE_MARGIN)
            bounds = _day(first - margin), _day(last + margin) + timedelta(days=1)
        except OverflowError:
            return  # years that no bound can be written for
        self._range(
            column, (_written(bounds[0], column), _written(bounds[1], column)), (_day(first), _day(last)), share
        )

    def _range(self, column: ColumnProfile, bounds: tuple[Any, Any], seen: tuple[Any, Any], share: float) -> None:
        name = _slug(column.name)
        self._add(
            "expect_column_values_to_be_between", f"{name}_in_range", f"{name}_out_of_range", "accuracy",
            "warning" if share == 1 else "info", f"{bounds[0]} to {bounds[1]} (seen: {seen[0]} to {seen[1]})",
            column.name, column=column.name, min_value=bounds[0], max_value=bounds[1], **_mostly(share),
        )  # fmt: skip

    def _pattern(self, column: ColumnProfile, pattern: str, share: float) -> None:
        name = _slug(column.name)
        self._add(
            "expect_column_values_to_match_regex", f"{name}_well_formed", f"{name}_malformed", "conformity",
            "warning" if share == 1 else "info", f"the form {pattern}", column.name,
            column=column.name, regex=pattern, **_mostly(share),
        )  # fmt: skip

    def _lengths(self, column: ColumnProfile) -> None:
        if column.shortest is None or column.longest is None:
            return
        name = _slug(column.name)
        least, most = column.shortest // 2, column.longest * 2
        self._add(
            "expect_column_value_lengths_to_be_between", f"{name}_length_usual", f"{name}_length_unusual", "conformity",
            "info", f"{least} to {most} characters (seen: {column.shortest} to {column.longest})", column.name,
            column=column.name, min_value=least, max_value=most,
        )  # fmt: skip

    def _add(
        self,
        kind: str,
        policy: str,
        anomaly_type: str,
        dimension: QualityDimension,
        severity: Severity,
        expected: str,
        what: str,
        **kwargs: Any,
    ) -> None:
        policy_id = f"{_slug(self.dataset)}.{policy}"
        while policy_id in self.taken:
            policy_id = f"{policy_id}_2"
        self.taken.add(policy_id)
        self.expectations.append(
            {
                "type": kind,
                "kwargs": kwargs,
                "severity": severity,
                "meta": {
                    "policy_id": policy_id,
                    "anomaly_type": anomaly_type if anomaly_type[0].islower() else f"n{anomaly_type}",
                    "quality_dimension": dimension,
                    "expected": expected,
                    "recovery": _RECOVERY.format(dataset=self.dataset, what=what),
                },
            }
        )


def _slug(name: str) -> str:
    """A name as part of ids; a short hash tells apart those that had to change by more than case."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[: _ID_LENGTH - 8]
    if plain == name.lower():
        return plain
    return f"{plain}_{content_hash(name)[:6]}" if plain else f"n{content_hash(name)[:6]}"


def _makes_a_set(values: tuple[Any, ...]) -> bool:
    """Whether values can be written as a set that says something: of truth values both would say nothing."""
    if isinstance(values[0], bool):
        return len(values) == 1
    if isinstance(values[0], int):
        return all(abs(value) < _EXACT for value in values)
    return all(value.isprintable() for value in values)


def _share(part: int, whole: int) -> float | None:
    """The share to ask for where ``part`` of ``whole`` hold; None where it is too small to ask for anything."""
    if part == whole:
        return 1.0
    share = math.floor((part / whole - SHARE_MARGIN) * 100) / 100
    return share if share >= LEAST_SHARE else None


def _mostly(share: float) -> dict[str, float]:
    return {} if share == 1 else {"mostly": share}


def _number_bounds(minimum: Number | None, maximum: Number | None) -> tuple[int | float, int | float] | None:
    """Bounds with a margin, which does not cross zero; None where no such number can be written."""
    if minimum is None or maximum is None:
        return None
    least, most = float(minimum), float(maximum)
    span = most - least or abs(least)
    low = 0.0 if least >= 0 and least - MARGIN * span < 0 else least - MARGIN * span
    high = 0.0 if most <= 0 and most + MARGIN * span > 0 else most + MARGIN * span
    if not math.isfinite(low) or not math.isfinite(high):
        return None
    step = 10.0 ** (math.floor(math.log10(span)) - 2) if span >= 1e-300 else 0.0
    whole = isinstance(minimum, int) and isinstance(maximum, int)
    low, high = _rounded(low, step, math.floor, whole=whole), _rounded(high, step, math.ceil, whole=whole)
    # Python compares these exactly, however large or fine they are.
    while low > minimum:
        low = math.nextafter(low, -math.inf)
    while high < maximum:
        high = math.nextafter(high, math.inf)
    return _plain(low), _plain(high)


def _rounded(bound: float, step: float, towards: Any, *, whole: bool) -> float:
    """The bound in three figures of the span, outwards."""
    if whole:
        step = max(step, 1.0)
    if not step or not math.isfinite(bound / step):
        return bound
    figures = max(0, -math.floor(math.log10(step)))
    return round(towards(bound / step) * step, figures) if figures < 300 else bound


def _plain(bound: float) -> int | float:
    return int(bound) if bound.is_integer() and abs(bound) < _EXACT else bound


def _day(moment: datetime) -> date:
    return moment.date()


def _written(day: date, column: ColumnProfile) -> str:
    """A bound as ISO text: a day for dates, its beginning for instants, in UTC where the column knows zones."""
    if column.kind == "date":
        return day.isoformat()
    return f"{day.isoformat()}T00:00:00" + ("+00:00" if column.sql_type == "TIMESTAMP WITH TIME ZONE" else "")
