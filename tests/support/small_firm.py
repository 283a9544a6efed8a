"""A firm of one business system and a CMDB, small enough to read, for tests that deliver files of their own.

It uses the repository's metric standard, standard contracts, policy views and suites, so that what is tested is what ships.
"""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.model_management.governance import Governance, load_governance

REPOSITORY = Path(__file__).resolve().parents[2]
DAY = date(2026, 11, 20)
SYSTEM = "branch_monitoring"

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
_REQUIRED = {"metric", "ci", "ci_id", "ci_class", "name", "status", "owner_id", "support_group_id", "relation"}
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
        NULL::VARCHAR AS ip_address""",
    "ci_relations": "source_ci_id, relation, target_ci_id",
    "support_groups": "support_group_id, name, NULL::VARCHAR AS manager_id, NULL::VARCHAR AS email",
    "owners": """
        owner_id, name, NULL::VARCHAR AS email, NULL::VARCHAR AS phone, active, NULL::VARCHAR AS support_group_id""",
}


@dataclass(frozen=True)
class SmallFirm:
    """The firm's folders; ``deliver`` lands a file."""

    settings: Settings

    @property
    def governance(self) -> Governance:
        """Control information, read anew."""
        return load_governance(self.settings.project)

    @property
    def lake(self) -> Lake:
        """The lake."""
        return Lake(self.settings.lake, self.settings.dataset_contracts)

    def folder(self, system: str, dataset: str, day: date = DAY) -> Path:
        """Landing folder of a dataset's day."""
        return self.settings.landing / system / dataset / day.isoformat()

    def deliver(
        self, system: str, dataset: str, content: bytes | str | list[dict[str, object]], day: date = DAY, name: str = "a.csv"
    ) -> Path:
        """Land a file: bytes as they are, or records as CSV."""
        path = self.folder(system, dataset, day) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = csv_text(COLUMNS[system, dataset], content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

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


def csv_text(columns: list[str], records: list[dict[str, object]]) -> str:
    """Records as CSV with a header; absent and null fields are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: record.get(name) for name in columns} for record in records)
    return text.getvalue()


def build_small_firm(root: Path) -> SmallFirm:
    """Write the project of the firm below a folder."""
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
        _write_system(project / "governance" / "systems" / system, system)
    return SmallFirm(Settings(home=root / "home", project=project))


def _write_system(folder: Path, system: str) -> None:
    folder.mkdir(parents=True)
    datasets = [dataset for owner, dataset in COLUMNS if owner == system]
    transports = "".join(f"    {dataset}: {{format: csv}}\n" for dataset in datasets)
    (folder / "defs.yaml").write_text(
        "type: omgov_assets.components.BusinessSystemComponent\nattributes:\n"
        f"  system: {system}\n  title: {system}\n  owner: data@example.com\n  datasets:\n{transports}"
    )
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
        if name in _REQUIRED - _OPTIONAL.get((system, dataset), set()):
            lines.append("        required: true")
    return "\n".join(lines) + "\n"
