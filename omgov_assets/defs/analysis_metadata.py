"""What the analysis assets show of themselves in the Dagster UI: tables, and numbers that it plots over the days.

Does not belong here: computing anything.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from omgov_assets.quality_analysis.rankings import RANKED_DIMENSIONS
from omgov_assets.quality_analysis.report import Morning
from omgov_assets.quality_analysis.root_causes import RootCauseSummary
from omgov_assets.quality_analysis.scorecards import OVERALL, ScorecardsSummary, SubjectKind
from omgov_assets.quality_analysis.statistics import StatisticsSummary

_MEASURES = (
    "anomalies",
    "new_anomalies",
    "resolved_anomalies",
    "withdrawn_anomalies",
    "unverified_anomalies",
    "anomalous_instances",
    "instances",
    "rate",
    "severity_score",
    "business_impact",
    "not_evaluated_share",
)
_FINDINGS = 5
_RANKING_COLUMNS = ("rank", "label", "key", "anomalies", "rate", "severity_score", "business_impact", "change")
_CAUSE_COLUMNS = (
    "rank",
    "cause",
    "anomaly_types",
    "anomalies",
    "coverage",
    "lift",
    "since",
    "new_anomalies",
    "cis",
    "support_groups",
    "cause_id",
)
_SCORE_COLUMNS = (
    "label",
    "subject_key",
    "score",
    "change",
    "subjects",
    "anomalies",
    "backlog",
    "new_anomalies",
    "resolved_anomalies",
    "mean_days_to_repair",
    "baseline_covered_share",
    "status",
)


def of_statistics(summary: StatisticsSummary) -> dict[str, Any]:
    """The totals of the firm; what there is no value of is left out."""
    measures = {name: getattr(summary, name) for name in _MEASURES}
    return {"dagster/row_count": summary.cells} | _known(measures)


def of_rankings(first_ranks: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """A table for each dimension that has any rank. Owners are named by their key: events hold no personal data."""
    tables = {
        name: table(first_ranks.get(name, ()), _without_names(name, _RANKING_COLUMNS)) for name in RANKED_DIMENSIONS
    }
    return {f"by_{name}": found for name, found in tables.items() if found is not None}


def of_root_causes(summary: RootCauseSummary, first: list[dict[str, Any]]) -> dict[str, Any]:
    """How much causes explain, and a table of the first. Owners are named by their key."""
    measures = {
        "dagster/row_count": summary.causes,
        "anomalies": summary.anomalies,
        "explained_anomalies": summary.explained,
        "explained_share": summary.explained_share,
    }
    rows = [
        row
        | {
            "cause": ", ".join(f"{name} {key}" for name, key in row["conditions"].items()),
            "anomaly_types": ", ".join(row["anomaly_types"]),
            "support_groups": ", ".join(row["support_group_ids"][:3]),
        }
        for row in first
    ]
    found = table(rows, _CAUSE_COLUMNS)
    return _known(measures) | ({} if found is None else {"first_causes": found})


def of_scorecards(
    summary: ScorecardsSummary,
    systems: Mapping[str, list[dict[str, Any]]],
    lowest: Mapping[SubjectKind, list[dict[str, Any]]],
) -> dict[str, Any]:
    """The firm's scores, a table of business systems by quality dimension, and the lowest scores of each kind.

    Args:
        summary: what was computed.
        systems: scorecards of all systems by quality dimension.
        lowest: scorecards with the lowest overall score by kind of subject.
    """
    scores = {f"{name}_score": score for name, score in summary.scores.items()}
    metadata = {"dagster/row_count": summary.rows} | _known(scores)
    matrix: dict[str, dict[str, Any]] = {}
    for dimension, rows in systems.items():
        for row in rows:
            shown = row["status"] if row["score"] is None else f"{row['score']:.1f}"
            matrix.setdefault(row["subject_key"], {"system": row["subject_key"]})[dimension] = shown
    names = ("system", *(name for name in systems if name != OVERALL), OVERALL)
    found = {"systems": table(sorted(matrix.values(), key=lambda row: str(row["system"])), names)}
    found |= {f"lowest_{kind}": table(rows, _without_names(kind, _SCORE_COLUMNS)) for kind, rows in lowest.items()}
    return metadata | {name: value for name, value in found.items() if value is not None}


def summary_of(morning: Morning) -> str:
    """The head of the morning report as Markdown: the totals and the first findings."""
    total, card = morning.total, morning.card
    lines = [
        f"**{total['anomalies']:,}** anomalies on **{total['anomalous_instances']:,}** of {total['instances']:,} "
        f"metric instances; {total['new_anomalies']:,} new, {total['resolved_anomalies']:,} resolved."
    ]
    if card and card["score"] is not None:
        lines[0] = f"Overall score **{card['score']:.1f}**. {lines[0]}"
    if morning.findings:
        lines += ["", "| severity | anomaly type | system | dataset | anomalies |", "|---|---|---|---|---:|"]
    for row in morning.findings[:_FINDINGS]:
        cells = (row["severity"], row["anomaly_type"], row["system"], row["dataset"], f"{row['anomalies']:,}")
        lines.append(f"| {' | '.join(_in_markdown(cell) for cell in cells)} |")
    return "\n".join(lines)


def _in_markdown(text: str) -> str:
    """A text that Markdown shows as it is."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]<>()#+!|~" else letter for letter in text.replace("\n", " "))


def table(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]) -> dg.TableMetadataValue | None:
    """Rows as a table of the UI; None where there are none. What is not known is an empty cell."""
    records = [
        dg.TableRecord({name: _shown(row.get(name)) for name in columns if name in row or row.get(name) is not None})
        for row in rows
    ]
    if not records:
        return None
    return dg.MetadataValue.table(
        records, schema=dg.TableSchema([dg.TableColumn(name, _type_of(records, name)) for name in columns])
    )


def _without_names(kind: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in columns if name != "label") if kind == "owner" else columns


def _known(measures: Mapping[str, float | None]) -> dict[str, Any]:
    return {name: value for name, value in measures.items() if value is not None}


def _shown(value: Any) -> str | int | float | bool:
    if value is None:
        return ""
    return round(value, 4) if isinstance(value, float) else value if isinstance(value, int) else str(value)


def _type_of(records: list[dg.TableRecord], name: str) -> str:
    values = [record.data.get(name) for record in records]
    if all(isinstance(value, int) for value in values):
        return "int"
    return "float" if all(isinstance(value, int | float) for value in values) else "string"
