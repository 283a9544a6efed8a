"""Reading the root causes of a day: for the command line, the Dagster UI and the report.

Does not belong here: finding them (``night``), sentences in the firm's languages (``report``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

import duckdb

from omgov_assets.data_lake.lake import Lake, create_view
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.cmdb import create_labels, register_cmdb
from omgov_assets.quality_analysis.root_causes.night import ANOMALY_CAUSES, ANOMALY_TYPE, ROOT_CAUSES

# The kind of the names that keys of an attribute have, where they have any.
_NAMED = ("application", "host", "network_device", "site", "support_group", "owner")


def read_root_causes(lake: Lake, day: date, top: int | None = None) -> list[dict[str, Any]]:
    """The first root causes of a day.

    Returns:
        One dictionary per cause, in the order of rank: the columns of ``quality/root_causes`` but day, rules_hash and
        data_versions; conditions (dictionary of attribute to key), labels (of attribute to name for people) and place
        (both as one text, without the anomaly type).
    """
    with lake.connect() as con:
        lake.register(con, "root_causes", ROOT_CAUSES, day)
        register_cmdb(lake, con, day)
        create_labels(con)
        return causes_of(con, top)


def register_explained(lake: Lake, con: duckdb.DuckDBPyConnection, day: date) -> None:
    """Make the anomalies of a day readable as the view ``anomalies``, with the column cause_id: null for what no cause
    explains, and for all of a day whose causes were not looked for.
    """
    lake.register(con, "identified", ANOMALIES, day)
    lake.register(con, "anomaly_causes", ANOMALY_CAUSES, day)
    create_view(
        con,
        "anomalies",
        "SELECT identified.*, cause_id FROM identified LEFT JOIN anomaly_causes USING (day, anomaly_id)",
    )


def causes_of(con: duckdb.DuckDBPyConnection, top: int | None = None) -> list[dict[str, Any]]:
    """The same, from the view ``root_causes`` and the table ``labels``."""
    query = "SELECT * EXCLUDE (day, rules_hash, data_versions) FROM root_causes ORDER BY rank LIMIT $top"
    causes: list[dict[str, Any]] = con.sql(query, params={"top": top}).to_arrow_table().to_pylist()
    for cause in causes:
        cause["conditions"] = json.loads(cause["conditions"])
    names = names_of(con, {key for cause in causes for name, key in cause["conditions"].items() if name in _NAMED})
    for cause in causes:
        conditions = cause["conditions"]
        cause["labels"] = {name: names.get((name, key), key) for name, key in conditions.items()}
        cause["place"] = ", ".join(
            f"{name.replace('_', ' ')} {_with_name(key, cause['labels'][name])}"
            for name, key in conditions.items()
            if name != ANOMALY_TYPE
        )
        if ANOMALY_TYPE in conditions:
            cause["place"] = f"{conditions[ANOMALY_TYPE]}: {cause['place']}"
    return causes


def names_of(con: duckdb.DuckDBPyConnection, keys: Iterable[str]) -> dict[tuple[str, str], str]:
    """Names of keys for people by kind and key, from the table ``labels``; what has none is left out."""
    query = "SELECT kind, key, label FROM labels WHERE list_contains($1, key) AND label IS NOT NULL"
    return {(kind, key): label for kind, key, label in con.execute(query, [sorted(keys)]).fetchall()}


def _with_name(key: str, name: str) -> str:
    return key if name == key else f"{name} ({key})"
