"""What a day's anomalies are set against: the subjects of each dataset, and both with coded attributes.

Belongs here: reading anomalies and subjects from the lake as ``Counts``. Does not belong here: the search
(``localisation``), what the causes found are worth (``night``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import identifier
from omgov_assets.model_management.root_cause_rules import RootCauseRules
from omgov_assets.quality_analysis.inventory import rows_of_systems
from omgov_assets.quality_analysis.root_causes.counts import Counts, Ints

# Attributes that rows bear themselves; all others are those of the row's CI.
OWN_ATTRIBUTES = ("system", "metric", "collector")
# What is missing has no metric and no collector of its own among what is there.
_EXPECTED = "expected_instance"
_OF_EXPECTED = ("system",)

_READ = {
    "system": "VARCHAR",
    "source_metric": "VARCHAR",
    "metric": "VARCHAR",
    "ci_id": "VARCHAR",
    "collector": "VARCHAR",
}

_CI_COLUMNS = {
    "application": "applications.application",
    "network_device": "network_devices.network_device",
    "host": "ci_dimensions.host_id",
    "owner": "ci_dimensions.owner_id",
    "support_group": "ci_dimensions.support_group_id",
    "site": "ci_dimensions.site_id",
}


@dataclass(frozen=True)
class Population:
    """The anomalies of one kind of subject, counted among all such subjects.

    Attributes:
        dataset, subject_kind: what the subjects are.
        counts: rows are groups of subjects alike; kinds are anomaly types, the most frequent first; a fact is an
            anomaly, or a part of one where its CI has several applications or network devices.
        values: for each attribute, key by code.
        anomaly: for each fact the position of its anomaly in ``anomaly_ids``.
        subject: for each fact the number of its subject.
        anomaly_ids: keys of the anomalies.
    """

    dataset: str
    subject_kind: str
    counts: Counts
    values: tuple[tuple[str, ...], ...]
    anomaly: Ints
    subject: Ints
    anomaly_ids: tuple[str, ...]


def create_ci_attributes(con: duckdb.DuckDBPyConnection, rules: RootCauseRules) -> None:
    """Create the temporary table ``ci_attributes``, from ``ci_dimensions`` and the view ``configuration_items``.

    Columns: ci_id, weight, and the attributes that are the CI's. A CI with several applications or network devices has
    a row for each pair of them; its weights add up to 1.
    """
    shown = [
        f"{_CI_COLUMNS.get(name, f'items.{identifier(name)}')} AS {identifier(name)}"
        for name in rules.attributes
        if name not in OWN_ATTRIBUTES
    ]
    columns = "".join(f", {text}" for text in shown)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE ci_attributes AS
        SELECT
            ci_dimensions.ci_id,
            1.0 / (greatest(len(application_ids), 1) * greatest(len(network_device_ids), 1)) AS weight
            {columns}
        FROM ci_dimensions
        CROSS JOIN LATERAL (
            SELECT unnest(CASE WHEN len(application_ids) > 0 THEN application_ids ELSE [NULL] END) AS application
        ) AS applications
        CROSS JOIN LATERAL (
            SELECT unnest(CASE WHEN len(network_device_ids) > 0 THEN network_device_ids ELSE [NULL] END)
                AS network_device
        ) AS network_devices
        LEFT JOIN (
            FROM configuration_items
            QUALIFY row_number() OVER (PARTITION BY ci_id ORDER BY _batch_id, _record_no) = 1
        ) AS items ON items.ci_id = ci_dimensions.ci_id
        """  # noqa: S608 - names are quoted
    )


def read_populations(
    lake: Lake, con: duckdb.DuckDBPyConnection, day: date, systems: Sequence[str], rules: RootCauseRules
) -> tuple[list[Population], dict[str, int]]:
    """Read the anomalies of the view ``anomalies`` with what they are set against, by dataset and kind of subject.

    Subjects that nothing counts (batches, datasets, models) are left out.

    Returns:
        The populations, and table name to Delta version of what was read.
    """
    groups = con.execute(
        "SELECT dataset, subject_kind FROM anomalies WHERE subject_kind IN ('row', $1) "
        "GROUP BY ALL ORDER BY count(*) DESC, dataset, subject_kind",
        [_EXPECTED],
    ).fetchall()
    populations: list[Population] = []
    versions: dict[str, int] = {}
    for dataset, subject_kind in groups:
        versions |= _create_subjects(lake, con, day, systems, dataset, subject_kind)
        own = _OF_EXPECTED if subject_kind == _EXPECTED else OWN_ATTRIBUTES
        attributes = [name for name in rules.attributes if name in own or name not in OWN_ATTRIBUTES]
        populations.append(_read(con, dataset, subject_kind, attributes))
    return populations, versions


def _create_subjects(
    lake: Lake, con: duckdb.DuckDBPyConnection, day: date, systems: Sequence[str], dataset: str, subject_kind: str
) -> dict[str, int]:
    """Create the temporary table ``subjects`` (system, metric, collector, ci_id, subjects): rows of the dataset alike
    in these; of expected instances, the CIs that it has rows of.
    """
    rows, versions = rows_of_systems(lake, con, day, dataset, systems, _READ)
    rows.create_view("rows of systems")
    counted = (
        "SELECT system, NULL::VARCHAR AS metric, NULL::VARCHAR AS collector, ci_id, 1 AS subjects"
        if subject_kind == _EXPECTED
        else "SELECT system, coalesce(metric, source_metric) AS metric, collector, ci_id, count(*) AS subjects"
    )
    con.execute(f'CREATE OR REPLACE TEMP TABLE subjects AS {counted} FROM "rows of systems" GROUP BY ALL')
    return versions


def _read(con: duckdb.DuckDBPyConnection, dataset: str, subject_kind: str, attributes: Sequence[str]) -> Population:
    """The anomalies of a group against ``subjects``."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE chosen AS
        SELECT
            row_number() OVER (ORDER BY anomaly_id) - 1 AS anomaly_no,
            dense_rank() OVER (ORDER BY system, subject_key) AS subject_no,
            anomaly_id, anomaly_type, system, coalesce(metric, source_metric) AS metric, collector, ci_id
        FROM anomalies
        WHERE dataset = $dataset AND subject_kind = $subject_kind
        """,
        {"dataset": dataset, "subject_kind": subject_kind},
    )
    kinds = tuple(
        kind
        for (kind,) in con.execute(
            "SELECT anomaly_type FROM chosen GROUP BY ALL ORDER BY count(*) DESC, anomaly_type"
        ).fetchall()
    )
    own = [name for name in attributes if name in OWN_ATTRIBUTES]
    values = _create_codes(con, attributes)
    codes = ", ".join(
        f"{'own' if name in OWN_ATTRIBUTES else 'ci'}.{identifier(name)} AS {identifier(name)}" for name in attributes
    )
    subjects = _columns(
        con,
        f"SELECT coalesce(ci.weight, 1.0) * own.subjects AS total, {codes} "  # noqa: S608 - names are quoted
        f"FROM ({_coded('subjects', ('ci_id', 'subjects'), own)}) AS own LEFT JOIN coded_cis AS ci USING (ci_id)",
    )
    facts = _columns(
        con,
        f"SELECT own.anomaly_no, own.subject_no, list_position($kinds, own.anomaly_type) - 1 AS kind, "  # noqa: S608
        f"coalesce(ci.weight, 1.0) AS weight, {codes} "
        f"FROM ({_coded('chosen', ('ci_id', 'anomaly_no', 'subject_no', 'anomaly_type'), own)}) AS own "
        "LEFT JOIN coded_cis AS ci USING (ci_id) ORDER BY own.anomaly_no",
        {"kinds": list(kinds)},
    )
    counted, found = len(subjects["total"]), len(facts["kind"])
    columns = []
    for name in attributes:
        of_subjects, of_facts = (part[name].astype(np.int32) for part in (subjects, facts))
        # A key that no subject bears says nothing of how many there are of it.
        of_facts = np.where(np.isin(of_facts, np.unique(of_subjects)), of_facts, 0).astype(np.int32)
        columns.append(np.concatenate([of_subjects, of_facts]))
    counts = Counts(
        attributes=tuple(attributes),
        codes=tuple(columns),
        total=np.concatenate([subjects["total"].astype(np.float64), np.zeros(found)]),
        row=np.arange(counted, counted + found),
        kind=facts["kind"].astype(np.int64),
        anomalous=facts["weight"].astype(np.float64),
        kinds=kinds,
    )
    ids = con.execute("SELECT anomaly_id FROM chosen ORDER BY anomaly_no").fetchall()
    return Population(
        dataset,
        subject_kind,
        counts,
        tuple(values[name] for name in attributes),
        facts["anomaly_no"].astype(np.int64),
        facts["subject_no"].astype(np.int64),
        tuple(anomaly_id for (anomaly_id,) in ids),
    )


def _create_codes(con: duckdb.DuckDBPyConnection, attributes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Number the keys that anomalies have in each attribute, from 1; create ``coded_cis`` with those of CIs.

    Returns:
        For each attribute, key by code; the first stands for none.
    """
    values: dict[str, tuple[str, ...]] = {}
    con.execute("CREATE OR REPLACE TEMP TABLE chosen_cis AS FROM ci_attributes SEMI JOIN chosen USING (ci_id)")
    for name in attributes:
        column = identifier(name)
        source = "chosen" if name in OWN_ATTRIBUTES else "chosen_cis"
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {identifier(f'codes of {name}')} AS "  # noqa: S608 - quoted
            f"SELECT key, (row_number() OVER (ORDER BY key))::INTEGER AS code "
            f"FROM (SELECT DISTINCT {column} AS key FROM {source} WHERE {column} IS NOT NULL)"
        )
        keys = con.execute(f"SELECT key FROM {identifier(f'codes of {name}')} ORDER BY code").fetchall()  # noqa: S608
        values[name] = ("", *(key for (key,) in keys))
    con.execute(
        "CREATE OR REPLACE TEMP TABLE coded_cis AS "
        + _coded("ci_attributes", ("ci_id", "weight"), [name for name in attributes if name not in OWN_ATTRIBUTES])
    )
    return values


def _coded(table: str, kept: Sequence[str], attributes: Sequence[str]) -> str:
    """A query over a table that keeps some of its columns and has numbers in place of its attributes' keys."""
    columns = [f"coded.{identifier(name)}" for name in kept]
    joins = []
    for position, name in enumerate(attributes):
        joins.append(
            f"LEFT JOIN {identifier(f'codes of {name}')} AS codes_{position} "
            f"ON codes_{position}.key = coded.{identifier(name)}"
        )
        columns.append(f"codes_{position}.code AS {identifier(name)}")
    return f"SELECT {', '.join(columns)} FROM {identifier(table)} AS coded {' '.join(joins)}"  # noqa: S608 - quoted


def _columns(
    con: duckdb.DuckDBPyConnection, query: str, params: Mapping[str, object] | None = None
) -> dict[str, npt.NDArray[Any]]:
    """The columns of a query; a missing number is 0."""
    columns = con.execute(query, params or {}).fetchnumpy()
    return {name: np.ma.filled(column, 0) for name, column in columns.items()}
