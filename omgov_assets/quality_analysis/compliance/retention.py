"""Check of how long records are kept: that no day of the last so many that a table once held has gone.

Does not belong here: reading a table's commits (``data_lake.kept_days``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from omgov_assets.data_lake.kept_days import KeptDays, kept_days
from omgov_assets.model_management.compliance_rules import RetentionClause, matching_tables
from omgov_assets.quality_analysis.compliance.verdicts import Evidence, Verdict, counted, listed


def records_are_kept(clause: RetentionClause, evidence: Evidence) -> Iterator[Verdict]:
    """A verdict for each table. One that is younger than the period passes for what there is, and says since when."""
    required = f"every day of the last {clause.parameters.days} days that there were records of"
    first = evidence.day - timedelta(days=clause.parameters.days - 1)
    for table in matching_tables(clause.applies_to, evidence.tables):
        kept = kept_days(evidence.lake, table)
        if kept is None:
            yield Verdict(table, "not_evaluated", None, required, "nothing was ever recorded there")
            continue
        yield _judged(table, kept, (first, evidence.day), required, evidence.tables[table].append_only)


def _judged(table: str, kept: KeptDays, period: tuple[date, date], required: str, must_append: bool) -> Verdict:
    first, last = period
    there = sorted(day for day in kept.days if day <= last)
    observed = f"{counted(len(there), 'day')} since {there[0]}" if there else "no day"
    versions = {table: kept.version}
    faults = list(_faults(kept, period, must_append))
    if faults:
        return Verdict(table, "failed", observed, required, "; ".join(faults), versions)
    if kept.known_since is not None and (unseen := _unseen(kept, first)):
        said = (
            f"commits before {kept.known_since:%Y-%m-%d %H:%M} UTC were cleaned up: nobody can tell whether there were "
            f"records of {listed([str(day) for day in unseen])}; set delta.logRetentionDuration of the table to as "
            "long as records are kept"
        )
        return Verdict(table, "not_evaluated", observed, required, said, versions)
    if not there:
        return Verdict(table, "not_evaluated", observed, required, f"there is no record of {last} or before", versions)
    said = "no day has gone"
    if there[0] > first:
        said += f"; the table holds records since {there[0]} only, as none was ever made of an earlier day"
    return Verdict(table, "passed", observed, required, said, versions)


def _unseen(kept: KeptDays, first: date) -> list[date]:
    """Days of the period that hold no records, before the oldest commit that would tell whether they once did."""
    known_from = kept.known_since.date() if kept.known_since else first
    days = (first + timedelta(days=number) for number in range((known_from - first).days))
    return [day for day in days if day not in kept.days]


def _faults(kept: KeptDays, period: tuple[date, date], must_append: bool) -> Iterator[str]:
    first, last = period
    gone = [f"{day} (version {version})" for day, version in kept.gone.items() if first <= day <= last]
    if gone:
        yield f"gone: {listed(gone)}"
    missing = [f"{files} of {day}" for day, files in kept.missing_files.items() if first <= day <= last]
    if missing:
        yield f"data files are not on disk: {listed(missing)}"
    if must_append and kept.rewritten:
        yield f"rows were taken out or replaced in version {listed([str(version) for version in kept.rewritten])}"
    if must_append and not kept.is_append_only:
        yield "the table no longer refuses that rows are taken out (delta.appendOnly)"
