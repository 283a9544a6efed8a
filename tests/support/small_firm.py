"""A firm of one business system and a CMDB, small enough to read, for tests that deliver files of their own.

It uses the repository's metric standard, standard contracts, policy views and suites: what ships is tested.
Its business system can deliver in any format (``FORMATS``); the CMDB delivers CSV.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_management.collection import collect_system
from omgov_assets.model_management.governance import Governance, load_governance

REPOSITORY = Path(__file__).resolve().parents[2]
DAY = date(2026, 11, 20)
SYSTEM = "branch_monitoring"

# Transports of the business system by the name that tests call them.
FORMATS: dict[str, dict[str, str]] = {
    "csv": {"format": "csv"},
    "csv-gbk": {"format": "csv", "encoding": "gbk"},
    "csv-utf-16": {"format": "csv", "encoding": "utf-16"},
    "ndjson": {"format": "ndjson"},
    "json": {"format": "json"},
    "parquet": {"format": "parquet"},
    "sqlite": {"format": "sqlite", "table": "exported"},
}

_TYPES = {
    "interval_s": "BIGINT",
    "sample_count": "BIGINT",
    "sample_distinct": "BIGINT",
    "sample_min": "DOUBLE",
    "sample_max": "DOUBLE",
    "sample_mean": "DOUBLE",
    "first_seen": "TIMESTAMP",
    "last_seen": "TIMESTAMP",
    "active": "BOOLEAN",
    "tier": "BIGINT",
}
_ARROW_TYPES = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "TIMESTAMP": pa.timestamp("us"),
}
_REQUIRED = {
    "source_ci_id",
    "target_ci_id",
    "active",
    "metric",
    "ci",
    "ci_id",
    "ci_class",
    "name",
    "status",
    "owner_id",
    "support_group_id",
    "relation",
}
COLUMNS = {
    (SYSTEM, "metric_definitions"): ["metric", "unit", "interval_s"],
    (SYSTEM, "metric_instances"): [
        "metric", "ci", "device", "unit", "interval_s", "collector", "first_seen", "last_seen",
        "sample_count", "sample_min", "sample_max", "sample_mean", "sample_distinct",
    ],
    ("cmdb", "configuration_items"): ["ci_id", "ci_class", "name", "status", "site_id", "support_group_id", "owner_id"],
    ("cmdb", "ci_relations"): ["source_ci_id", "relation", "target_ci_id"],
    ("cmdb", "support_groups"): ["support_group_id", "name"],
    ("cmdb", "owners"): ["owner_id", "name", "active"],
}  # fmt: skip
_OPTIONAL = {("cmdb", "configuration_items"): {"owner_id", "support_group_id"}}
_MODELS = {
    "metric_definitions": """
        metric AS source_metric, NULL::VARCHAR AS display_name, NULL::VARCHAR AS description, unit AS source_unit,
        'gauge' AS instrument, 'double' AS value_type, interval_s, NULL::DOUBLE AS valid_min, NULL::DOUBLE AS valid_max,
        'host' AS ci_class, 'active' AS status""",
    "metric_instances": """
        metric AS source_metric, ci AS ci_id,
        CASE WHEN device IS NULL THEN MAP {}::MAP(VARCHAR, VARCHAR) ELSE MAP {'device': device} END AS attributes,
        unit AS source_unit, interval_s, collector, first_seen AT TIME ZONE 'Asia/Shanghai' AS first_seen_at,
        last_seen AT TIME ZONE 'Asia/Shanghai' AS last_seen_at, sample_count, sample_min, sample_max, sample_mean,
        sample_distinct""",
    "configuration_items": """
        ci_id, ci_class, name, status, site_id, NULL::VARCHAR AS rack, support_group_id, owner_id, NULL::BIGINT AS tier,
        NULL::VARCHAR AS ip_address, NULL::VARCHAR AS subnet, NULL::VARCHAR AS agent_version""",
    "ci_relations": "source_ci_id, relation, target_ci_id",
    "support_groups": "support_group_id, name, NULL::VARCHAR AS manager_id, NULL::VARCHAR AS email",
    "owners": """
        owner_id, name, NULL::VARCHAR AS email, NULL::VARCHAR AS phone, active, NULL::VARCHAR AS support_group_id""",
}


@dataclass(frozen=True)
class SmallFirm:
    """The firm's folders; ``deliver`` lands a file."""

    settings: Settings
    transport: dict[str, str]

    @property
    def governance(self) -> Governance:
        """Control information, read anew where a file of it has changed."""
        return load_governance(self.settings.project)

    @property
    def lake(self) -> Lake:
        """The lake."""
        return Lake(self.settings.lake, self.settings.dataset_contracts)

    def folder(self, system: str, dataset: str, day: date = DAY) -> Path:
        """Landing folder of a dataset's day."""
        return self.settings.landing / system / dataset / day.isoformat()

    @property
    def system_folder(self) -> Path:
        """Control information of the business system."""
        return self.settings.project / "governance" / "systems" / SYSTEM

    def at(self, home: Path) -> SmallFirm:
        """The same project with another home."""
        return SmallFirm(Settings(home=home, project=self.settings.project), self.transport)

    def transport_of(self, system: str) -> dict[str, str]:
        """How the files of a system look."""
        return self.transport if system == SYSTEM else FORMATS["csv"]

    def deliver(
        self,
        system: str,
        dataset: str,
        content: bytes | str | list[dict[str, object]],
        day: date = DAY,
        name: str | None = None,
    ) -> Path:
        """Land a file: bytes as they are, or records in the system's format."""
        transport = self.transport_of(system)
        path = self.folder(system, dataset, day) / (name or f"a.{transport['format']}")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = file_bytes(transport, COLUMNS[system, dataset], content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def collect(self, system: str = SYSTEM, day: date = DAY, *datasets: str) -> dict[str, list[dict[str, Any]]]:
        """Take the day's deliveries of a system through the gate; ledger entries by dataset."""
        governance = self.governance
        lake, business = self.lake, governance.systems[system]
        return collect_system(self.settings, lake, governance, business, day, datasets or None)

    def rows(self, table: str, columns: str = "*", day: date | None = DAY) -> list[tuple[Any, ...]]:
        """Rows of a table of the lake, sorted; all days where ``day`` is None."""
        con = _reader()
        self.lake.register(con, "wanted", table, day)
        return con.execute(f"SELECT {columns} FROM wanted ORDER BY ALL").fetchall()

    def deliver_all(self, day: date = DAY, instances: list[dict[str, object]] | None = None) -> None:
        """Land a sound day: two hosts, an application, an owner, one group, and instances."""
        group = {"support_group_id": "G1", "owner_id": "O1", "site_id": "S1", "status": "in_use"}
        self.deliver(
            "cmdb",
            "configuration_items",
            [
                {"ci_id": "S1", "ci_class": "site", "name": "Head office", "status": "in_use"},
                {"ci_id": "H1", "ci_class": "host", "name": "host-1", **group},
                {"ci_id": "H2", "ci_class": "host", "name": "host-2", **group},
                {"ci_id": "A1", "ci_class": "application", "name": "Orders", **group},
            ],
            day,
        )
        relations = [{"source_ci_id": "A1", "relation": "runs_on", "target_ci_id": host} for host in ("H1", "H2")]
        self.deliver("cmdb", "ci_relations", relations, day)
        self.deliver("cmdb", "support_groups", [{"support_group_id": "G1", "name": "Hosts"}], day)
        self.deliver("cmdb", "owners", [{"owner_id": "O1", "name": "王芳", "active": "true"}], day)
        self.deliver(SYSTEM, "metric_definitions", [{"metric": "cpu", "unit": "%", "interval_s": 60}], day)
        self.deliver(SYSTEM, "metric_instances", instances or [instance(ci="H1"), instance(ci="H2")], day)


def instance(**changes: object) -> dict[str, object]:
    """A sound metric instance of DAY; ``changes`` replace its fields."""
    return {
        "metric": "cpu", "ci": "H1", "device": None, "unit": "%", "interval_s": 60, "collector": "K1",
        "first_seen": "2026-01-01 00:00:00", "last_seen": "2026-11-20 23:59:00", "sample_count": 1440,
        "sample_min": 1.0, "sample_max": 90.0, "sample_mean": 30.0, "sample_distinct": 500, **changes,
    }  # fmt: skip


@cache
def _reader() -> duckdb.DuckDBPyConnection:
    """One connection for all looks into lakes: opening one takes longer than a look."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    return con


# Gives the firm that delivers in one of ``FORMATS``.
FirmOf = Callable[[str], SmallFirm]


def file_bytes(transport: dict[str, str], columns: list[str], records: list[dict[str, object]]) -> bytes:
    """Records as a file of a transport; absent fields are null, further fields of the records are kept."""
    names = [*columns, *sorted({name for record in records for name in record} - set(columns))]
    match transport["format"]:
        case "csv":
            return csv_text(names, records).encode(transport.get("encoding", "utf-8"))
        case "ndjson":
            return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
        case "json":
            return ("[" + ",\n".join(json.dumps(record, ensure_ascii=False) for record in records) + "]\n").encode()
        case "parquet":
            return parquet_bytes(names, records)
        case _:
            return sqlite_bytes(transport["table"], names, records)


def csv_text(columns: list[str], records: list[dict[str, object]]) -> str:
    """Records as CSV with a header; absent and null fields are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: record.get(name) for name in columns} for record in records)
    return text.getvalue()


def parquet_bytes(columns: list[str], records: list[dict[str, object]]) -> bytes:
    """Records as Parquet, typed by the source contract where the values fit, else as Arrow infers them."""
    arrays = []
    for name in columns:
        values: list[Any] = [record.get(name) for record in records]
        wanted = _ARROW_TYPES[_TYPES.get(name, "VARCHAR")]
        if wanted == pa.timestamp("us"):
            values = [datetime.fromisoformat(value) if isinstance(value, str) else value for value in values]
        if wanted == pa.bool_():
            values = [{"true": True, "false": False}.get(str(value), value) for value in values]
        try:
            arrays.append(pa.array(values, wanted))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            arrays.append(pa.array(values))
    target = io.BytesIO()
    pq.write_table(pa.table(arrays, names=columns), target)
    return target.getvalue()


def sqlite_bytes(table: str, columns: list[str], records: list[dict[str, object]]) -> bytes:
    """Records as a table of an SQLite database file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.db"
        con = sqlite3.connect(path)
        names = ", ".join(f'"{name}"' for name in columns)
        con.execute(f'CREATE TABLE "{table}" ({names})')
        marks = ", ".join("?" for _ in columns)
        con.executemany(
            f'INSERT INTO "{table}" VALUES ({marks})',
            [[record.get(name) for name in columns] for record in records],
        )
        con.commit()
        con.close()
        return path.read_bytes()


def build_small_firm(root: Path, delivers: str = "csv") -> SmallFirm:
    """Write the project of the firm below a folder; its business system delivers in one of ``FORMATS``."""
    transport = FORMATS[delivers]
    project = root / "project"
    for part in ("data_contracts", "metric_definitions", "policy_views"):
        shutil.copytree(REPOSITORY / "governance" / "standard" / part, project / "governance" / "standard" / part)
    spellings = "governance/standard/unit_spellings.yaml"
    shutil.copy(REPOSITORY / spellings, project / spellings)
    expectations = project / "expectations"
    expectations.mkdir()
    for _, dataset in COLUMNS:
        suite = REPOSITORY / "expectations" / f"{dataset}.json"
        if suite.is_file():
            shutil.copy(suite, expectations / suite.name)
    (project / "governance" / "firm.yaml").write_text(
        "name: Small firm\nfirst_day: 2026-11-01\ntimezone: Asia/Shanghai\nnightly_cron: '0 2 * * *'\n"
    )
    for system in (SYSTEM, "cmdb"):
        _write_system(
            project / "governance" / "systems" / system,
            system,
            transport if system == SYSTEM else FORMATS["csv"],
        )
    return SmallFirm(Settings(home=root / "home", project=project), transport)


def _write_system(folder: Path, system: str, transport: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    datasets = [dataset for owner, dataset in COLUMNS if owner == system]
    attributes = {
        "system": system,
        "title": system,
        "owner": "data@example.com",
        "datasets": {dataset: dict(transport) for dataset in datasets},
    }
    definition = {"type": "omgov_assets.components.BusinessSystemComponent", "attributes": attributes}
    (folder / "defs.yaml").write_text(yaml.safe_dump(definition, sort_keys=False))
    if system == SYSTEM:
        (folder / "metric_mappings.yaml").write_text("mappings:\n  - {match: cpu, metric: system.cpu.utilization}\n")
    for dataset in datasets:
        (folder / f"{dataset}.odcs.yaml").write_text(_contract(system, dataset))
        (folder / f"{dataset}.sql").write_text(
            f"/* ---\nkind: conform\ndataset: {dataset}\nversion: 1.0.0\nowner: data@example.com\n"
            f"description: As delivered.\n--- */\nSELECT {_MODELS[dataset]}, _batch_id, _record_no FROM source\n"
        )


def _contract(system: str, dataset: str) -> str:
    lines = [
        "apiVersion: v3.1.0", "kind: DataContract", f"id: {system}.{dataset}", "version: 1.0.0", "status: active",
        "schema:", f"  - name: {dataset}", "    logicalType: object", "    properties:",
    ]  # fmt: skip
    for name in COLUMNS[system, dataset]:
        lines += [f"      - name: {name}", f"        physicalType: {_TYPES.get(name, 'VARCHAR')}"]
        lines.append('        classification: "1"')
        if name in _REQUIRED - _OPTIONAL.get((system, dataset), set()):
            lines.append("        required: true")
    return "\n".join(lines) + "\n"
