"""Root causes of a day: which combinations of attributes explain its anomalies, and which anomaly belongs to which.

Belongs here: putting together what was found for single anomaly types, and the tables ``quality/root_causes`` and
``quality/anomaly_causes``. Does not belong here: the search (``localisation``), reading what is searched
(``populations``), words for people (``report``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.model_management.documents import content_hash
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.cmdb import create_ci_dimensions, register_cmdb
from omgov_assets.quality_analysis.root_causes.counts import Floats, Ints
from omgov_assets.quality_analysis.root_causes.localisation import Explanation, localise
from omgov_assets.quality_analysis.root_causes.populations import Population, create_ci_attributes, read_populations
from omgov_assets.quality_analysis.rules import AnalysisRules

ROOT_CAUSES = "quality/root_causes"
ANOMALY_CAUSES = "quality/anomaly_causes"

ANOMALY_TYPE = "anomaly_type"

# Combinations that share so much of the subjects of both are one place, under whatever name.
_SAME_PLACE = 0.9
# Anomaly types of one place have one cause where so much of the subjects of the rarer have both.
_SAME_SUBJECTS = 0.5

_ROOT_CAUSES_SQL = read_sql(Path(__file__).with_name("root_causes.sql"))
_ASSIGNED_SQL = """
SELECT $day::DATE AS day, anomaly_id, cause_id
FROM anomalies
LEFT JOIN assigned USING (anomaly_id)
"""


@dataclass(frozen=True)
class RootCauseSummary:
    """What ``find_root_causes`` did.

    Attributes:
        day: business day.
        causes: causes found.
        anomalies: anomalies of the day.
        explained: anomalies that are assigned to a cause.
        version: Delta version of ``quality/root_causes``.
    """

    day: date
    causes: int
    anomalies: int
    explained: int
    version: int

    @property
    def explained_share(self) -> float | None:
        """Share of the anomalies that a cause explains; None where there are none."""
        return self.explained / self.anomalies if self.anomalies else None


@dataclass
class _Place:
    """A combination of attribute values, and what was found in it, type by type."""

    population: Population
    conditions: tuple[tuple[int, int], ...]
    rows: Ints
    row_totals: Floats
    subjects: float
    found: list[_Found] = field(default_factory=list)


@dataclass
class _Found:
    """What causes one or several anomaly types in a place: measures summed over them, and the facts assigned."""

    kinds: list[int]
    matching: float
    expected: float
    score: float
    facts: Ints
    subjects: frozenset[int]


def find_root_causes(lake: Lake, day: date, rules: AnalysisRules) -> RootCauseSummary:
    """Find what explains the anomalies of a day into ``quality/root_causes`` and ``quality/anomaly_causes``.

    Each anomaly type is localised by at most two attributes beside itself. Types that the same subjects have in the
    same place are one cause. Each anomaly is assigned to one cause at most: of several, to the one with the highest
    rate.

    Args:
        lake: the lake.
        day: business day; its anomalies have been identified.
        rules: whose datasets there are, by what is localised, what counts as a cause.
    """
    yesterday = day - timedelta(days=1)
    with lake.connect() as con:
        versions = register_cmdb(lake, con, day, rules.root_causes.ci_attributes)
        create_ci_dimensions(con)
        lake.register(con, "anomalies", ANOMALIES, day)
        lake.register(con, "previous", ROOT_CAUSES, yesterday)
        create_ci_attributes(con, rules.root_causes)
        populations, read = read_populations(lake, con, day, rules.systems, rules.root_causes)
        deepest = rules.root_causes.evidence.deepest - 1
        places = (
            [
                place
                for population in populations
                for place in _places(population, localise(population.counts, rules.root_causes.evidence, deepest))
            ]
            if deepest
            else []
        )
        _register(con, places)
        params = {
            "day": day,
            "compared": lake.has_day(ANOMALIES, yesterday),
            "rules_hash": content_hash(rules.root_causes.model_dump_json()),
            "data_versions": json.dumps(versions | read, sort_keys=True, separators=(",", ":")),
        }
        version = lake.replace(ROOT_CAUSES, day, con.sql(_ROOT_CAUSES_SQL, params=params))
        lake.replace(ANOMALY_CAUSES, day, con.sql(_ASSIGNED_SQL, params={"day": day}))
        lake.register(con, "causes", ROOT_CAUSES, day)
        causes, explained, anomalies = one_row(
            con,
            "SELECT count(*), coalesce(sum(anomalies), 0)::BIGINT, (SELECT count(*) FROM anomalies) FROM causes",
        )
    return RootCauseSummary(day, causes, anomalies, explained, version)


def _places(population: Population, explanation: Explanation) -> list[_Place]:
    """Where causes were found, each place once."""
    places: list[_Place] = []
    for position, (cause, rows) in enumerate(zip(explanation.causes, explanation.rows, strict=True)):
        facts = np.flatnonzero(explanation.cause_of_fact == position)
        if not len(facts):
            continue
        place = _known_place(places, rows, explanation.row_totals)
        if place is None:
            place = _Place(
                population, cause.conditions, rows, explanation.row_totals, float(explanation.row_totals[rows].sum())
            )
            places.append(place)
        found = _Found(
            kinds=[cause.kind],
            matching=cause.anomalous,
            expected=cause.expected,
            score=cause.score,
            facts=facts,
            subjects=frozenset(population.subject[facts].tolist()),
        )
        _add(place, found)
    return places


def _known_place(places: Iterable[_Place], rows: Ints, row_totals: Floats) -> _Place | None:
    total = float(row_totals[rows].sum())
    for place in places:
        smaller, greater = sorted((total, place.subjects))
        if smaller < _SAME_PLACE * greater:
            continue
        shared = float(row_totals[np.intersect1d(place.rows, rows, assume_unique=True)].sum())
        if shared >= _SAME_PLACE * (total + place.subjects - shared):
            return place
    return None


def _add(place: _Place, found: _Found) -> None:
    """Add what was found of one type to what has the same cause in the place, if anything has."""
    for other in place.found:
        both = len(found.subjects & other.subjects)
        if both >= _SAME_SUBJECTS * min(len(found.subjects), len(other.subjects)):
            other.kinds += found.kinds
            other.matching += found.matching
            other.expected += found.expected
            other.score = max(other.score, found.score)
            other.facts = np.concatenate([other.facts, found.facts])
            other.subjects |= found.subjects
            return
    place.found.append(found)


def _register(con: duckdb.DuckDBPyConnection, places: list[_Place]) -> None:
    """Make ``found`` (a row for each cause) and ``assigned`` (anomaly_id, cause_id) readable."""
    causes: list[dict[str, Any]] = []
    assigned: dict[str, str] = {}
    for place in places:
        population = place.population
        total = float(place.row_totals.sum())
        for found in place.found:
            conditions = {
                population.counts.attributes[attribute]: population.values[attribute][code]
                for attribute, code in place.conditions
            }
            if len(found.kinds) == 1:
                conditions[ANOMALY_TYPE] = population.counts.kinds[found.kinds[0]]
            text = json.dumps(conditions, ensure_ascii=False, separators=(",", ":"))
            cause_id = content_hash(
                population.dataset,
                population.subject_kind,
                *sorted(f"{name}={key}" for name, key in conditions.items()),
            )[:16]
            causes.append(
                {
                    "cause_id": cause_id,
                    "conditions": text,
                    "depth": len(conditions),
                    "dataset": population.dataset,
                    "subject_kind": population.subject_kind,
                    "matching_anomalies": found.matching,
                    "subjects": place.subjects,
                    "support": place.subjects / total if total else None,
                    "expected_anomalies": found.expected,
                    "lift": found.matching / found.expected,
                    "score": found.score,
                }
            )
            # Of an anomaly in several parts, the first part that is explained speaks for it.
            for anomaly in population.anomaly[found.facts].tolist():
                assigned.setdefault(population.anomaly_ids[anomaly], cause_id)
    con.register("found rows", pa.Table.from_pylist(causes, _FOUND))
    con.execute('CREATE OR REPLACE TEMP TABLE found AS FROM "found rows"')
    con.unregister("found rows")
    rows = pa.table(
        {
            "anomaly_id": pa.array(list(assigned), pa.string()),
            "cause_id": pa.array(list(assigned.values()), pa.string()),
        }
    )
    con.register("assigned rows", rows)
    con.execute('CREATE OR REPLACE TEMP TABLE assigned AS FROM "assigned rows"')
    con.unregister("assigned rows")


_FOUND = pa.schema(
    [
        ("cause_id", pa.string()),
        ("conditions", pa.string()),
        ("depth", pa.int64()),
        ("dataset", pa.string()),
        ("subject_kind", pa.string()),
        ("matching_anomalies", pa.float64()),
        ("subjects", pa.float64()),
        ("support", pa.float64()),
        ("expected_anomalies", pa.float64()),
        ("lift", pa.float64()),
        ("score", pa.float64()),
    ]
)
