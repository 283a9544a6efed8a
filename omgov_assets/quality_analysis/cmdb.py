"""The CMDB of a day as analysis sees it: its tables as views, and the dimensions that each CI gives to what
hangs on it, and each owner to a processing model.

Belongs here: which application, host, network device, site, support group and owner a CI stands for, and which owner
and support group an e-mail address. Does not belong here: whether the CMDB itself is sound; the policies on its
datasets say that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import duckdb

from omgov_assets.data_lake.lake import Lake, create_view
from omgov_assets.data_lake.sql import columns_or_null, read_sql
from omgov_assets.model_management.control import PROCESSING_MODELS

SYSTEM = "cmdb"

# What analysis reads of each dataset. What a firm does not keep, a dataset or a column, is empty.
COLUMNS_READ: dict[str, dict[str, str]] = {
    "configuration_items": {
        "ci_id": "VARCHAR",
        "ci_class": "VARCHAR",
        "name": "VARCHAR",
        "status": "VARCHAR",
        "site_id": "VARCHAR",
        "support_group_id": "VARCHAR",
        "owner_id": "VARCHAR",
        "tier": "BIGINT",
        "_batch_id": "VARCHAR",
        "_record_no": "BIGINT",
    },
    "ci_relations": {"source_ci_id": "VARCHAR", "relation": "VARCHAR", "target_ci_id": "VARCHAR"},
    "support_groups": {
        "support_group_id": "VARCHAR",
        "name": "VARCHAR",
        "email": "VARCHAR",
        "_batch_id": "VARCHAR",
        "_record_no": "BIGINT",
    },
    "owners": {
        "owner_id": "VARCHAR",
        "name": "VARCHAR",
        "email": "VARCHAR",
        "active": "BOOLEAN",
        "support_group_id": "VARCHAR",
        "_batch_id": "VARCHAR",
        "_record_no": "BIGINT",
    },
}

_CI_DIMENSIONS = read_sql(Path(__file__).with_name("ci_dimensions.sql"))
_LABELS = read_sql(Path(__file__).with_name("labels.sql"))
_MODEL_DIMENSIONS = read_sql(Path(__file__).with_name("model_dimensions.sql"))


def register_cmdb(
    lake: Lake, con: duckdb.DuckDBPyConnection, day: date, ci_attributes: Sequence[str] = ()
) -> dict[str, int]:
    """Make the CMDB of a day readable as views named like its datasets; those of an absent dataset are empty.

    Args:
        lake: the lake.
        con: a connection of it.
        day: business day.
        ci_attributes: further columns of ``configuration_items``, read as text.

    Returns:
        Table name to Delta version, for the tables that hold rows of the day.
    """
    versions: dict[str, int] = {}
    for dataset, columns in COLUMNS_READ.items():
        if dataset == "configuration_items":
            columns = columns | {name: "VARCHAR" for name in ci_attributes if name not in columns}
        table, there = f"{SYSTEM}/{dataset}", set[str]()
        if lake.has_day(table, day):
            version = lake.register(con, f"kept_{dataset}", table, day)
            if version is not None:
                versions[table] = version
            there = set(con.view(f"kept_{dataset}").columns)
        source = f"FROM kept_{dataset}" if there else "WHERE false"
        create_view(con, dataset, f"SELECT {columns_or_null(columns, there)} {source}")
    return versions


def create_ci_dimensions(con: duckdb.DuckDBPyConnection) -> None:
    """Create the temporary table ``ci_dimensions``, one row for each CI, from the views of ``register_cmdb``.

    Columns: ci_id, ci_class, application_ids and network_device_ids (sorted lists, empty where there are none),
    host_id, site_id, support_group_id, owner_id, tier (the highest importance among the applications).
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE ci_dimensions AS {_CI_DIMENSIONS}")


def create_labels(con: duckdb.DuckDBPyConnection) -> None:
    """Create the temporary table ``labels`` (kind, key, label): names for people, from the views of ``register_cmdb``.

    ``kind`` is a CI class, support_group or owner; one row for each kind and key.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE labels AS {_LABELS}")


def register_named(
    lake: Lake, con: duckdb.DuckDBPyConnection, view: str, table: str, day: date, kind: str, key: str
) -> None:
    """Make a day's rows readable as a view whose column label has the names of owners, from the table ``labels``.

    Tables that many read hold no personal data: there the label of an owner is its key.

    Args:
        lake: the lake.
        con: a connection of it, with ``labels`` of the day.
        view: name of the view.
        table: table of the lake, with a column label.
        day: business day.
        kind: column that says what kind of key a row has.
        key: column with the key.
    """
    lake.register(con, f"stored_{view}", table, day)
    create_view(
        con,
        view,
        f"SELECT stored.* REPLACE (coalesce(names.label, stored.label) AS label) "  # noqa: S608 - names of this room
        f"FROM stored_{view} AS stored LEFT JOIN labels AS names "
        f"ON stored.{kind} = 'owner' AND names.kind = 'owner' AND names.key = stored.{key}",
    )


def create_model_dimensions(lake: Lake, con: duckdb.DuckDBPyConnection, day: date) -> None:
    """Create the temporary table ``model_dimensions``, one row for each processing model that was published for the
    day, from the views of ``register_cmdb``.

    Columns: subject_key (as violations name a model), owner_id, support_group_id.
    """
    lake.register(con, "processing_models", PROCESSING_MODELS, day)
    con.execute(f"CREATE OR REPLACE TEMP TABLE model_dimensions AS {_MODEL_DIMENSIONS}")


def model_owners(lake: Lake, day: date) -> dict[str, bool] | None:
    """E-mail addresses that the CMDB of a day knows, in lower case, each with whether it is in use: those of owners
    while they are active, and those of support groups. None where the CMDB names none, so that nothing can be judged.
    """
    with lake.connect() as con:
        known: dict[str, bool] = {}
        for dataset, active in (("owners", "active"), ("support_groups", "true")):
            table = f"{SYSTEM}/{dataset}"
            if not lake.has_day(table, day) or "email" not in lake.schema(table).names:
                continue
            lake.register(con, "people", table, day)
            in_use = active if active == "true" or active in lake.schema(table).names else "true"
            rows = con.execute(
                f"SELECT lower(trim(email)), bool_or({in_use}) FROM people "  # noqa: S608 - names of this room
                "WHERE email IS NOT NULL GROUP BY 1"
            ).fetchall()
            for email, is_active in rows:
                known[email] = known.get(email, False) or is_active
    return known or None
