"""The folder of a business system whose definitions come from a catalogue: ``governance/systems/<system>/``.

Made once, by the first import, from the standard contract; from then on it is the firm's to edit. Does not belong
here: reading catalogues.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from omgov_assets.data_management.catalogues.entries import CatalogueEntry
from omgov_assets.model_management.business_systems import NAME_PATTERN, BusinessSystem
from omgov_assets.model_management.contracts import ContractColumn, DataContract
from omgov_assets.model_management.documents import read_yaml
from omgov_assets.model_management.governance import Governance, load_governance

DATASET = "metric_definitions"
UNASSIGNED = "unassigned"
VERSION = "1.0.0"

_PARQUET_TYPES = {"VARCHAR": pa.string(), "BIGINT": pa.int64(), "DOUBLE": pa.float64()}


class RefusedImportError(ValueError):
    """A catalogue cannot be imported as the definitions of this system: what is in the way, and what to do."""


def ensure_system(
    governance: Governance, system: str, owner: str | None, title: str | None
) -> tuple[Governance, Path | None]:
    """The control information with a business system that takes its definitions from a catalogue.

    Args:
        governance: control information of the firm.
        system: the business system.
        owner: who answers for it; default ``unassigned``.
        title: its name for people; default its name.

    Returns:
        The control information, loaded again where the system's folder was made, and that folder.

    Raises:
        RefusedImportError: the name is none for a system, or the system delivers its definitions in another way.
        GovernanceError: the standard contract cannot be read.
    """
    standard = _standard_contract(governance)
    if system in governance.systems:
        _require_catalogue_delivery(governance.systems[system], standard)
        return governance, None
    if not re.fullmatch(NAME_PATTERN, system):
        raise RefusedImportError(
            f"--system {system!r}: no name for a business system; begin with a letter and use a-z, 0-9 and _"
        )
    folder = governance.project / "governance" / "systems" / system
    if folder.exists():
        raise RefusedImportError(f"{folder} is there but has no defs.yaml; write one, or remove the folder")
    _write_folder(folder, standard, owner or UNASSIGNED, title or system)
    try:
        return load_governance(governance.project), folder
    except BaseException:
        # It was not there before: the firm's files are left as they were found.
        shutil.rmtree(folder)
        raise


def standing_file(system: str) -> str:
    """Where the last import of a system lies below OMGOV_HOME."""
    return f"catalogues/{system}.parquet"


def parquet_type(column: ContractColumn) -> pa.DataType:
    """Arrow type of a column of the delivery."""
    return _PARQUET_TYPES[column.sql_type]


def _standard_contract(governance: Governance) -> DataContract:
    contract = governance.contracts.get(DATASET)
    if contract is None:
        raise RefusedImportError(f"the firm has no standard contract of {DATASET}; add {DATASET}.odcs.yaml")
    known = set(CatalogueEntry.__dataclass_fields__)
    for column in contract.conform_columns:
        if column.sql_type not in _PARQUET_TYPES or (column.required and column.name not in known):
            raise RefusedImportError(
                f"{contract.path}: column {column.name} ({column.sql_type}) is none that a catalogue gives; "
                "make it optional text or number"
            )
    return contract


def _require_catalogue_delivery(system: BusinessSystem, standard: DataContract) -> None:
    path = system.folder / "defs.yaml"
    dataset = system.datasets.get(DATASET)
    if dataset is None:
        raise RefusedImportError(f"{path}: {system.name} delivers no {DATASET}; import under another --system")
    source = dataset.transport.source
    if dataset.transport.format != "parquet" or source is None or source.file != standing_file(system.name):
        raise RefusedImportError(
            f"{path}: {system.name} delivers {DATASET} in its own way ({dataset.transport.format}); "
            "import under another --system"
        )
    expected = {column.name: column.sql_type for column in standard.conform_columns}
    found = {column.delivered_as: column.sql_type for column in dataset.source_contract.columns}
    if found != expected:
        differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise RefusedImportError(
            f"{dataset.source_contract.path}: differs from the standard contract in {', '.join(differing)}; import "
            "under another --system, or publish a version with the standard's columns"
        )


def _write_folder(folder: Path, standard: DataContract, owner: str, title: str) -> None:
    """Write all files beside the folder of the systems and move them there at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent.parent))
    try:
        for name, text in _files(folder.name, standard, owner, title).items():
            (unfinished / name).write_text(text, encoding="utf-8")
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _files(system: str, standard: DataContract, owner: str, title: str) -> dict[str, str]:
    definitions = {
        "type": "omgov_assets.components.BusinessSystemComponent",
        "attributes": {
            "system": system,
            "title": title,
            "owner": owner,
            "datasets": {
                DATASET: {
                    "format": "parquet",
                    # What was imported last stands for every day.
                    "source": {"root_env": "OMGOV_HOME", "root": ".omgov", "file": standing_file(system)},
                }
            },
        },
    }
    header = {
        "kind": "conform",
        "dataset": DATASET,
        "version": VERSION,
        "owner": owner,
        "description": "A catalogue is delivered in the columns of the standard.",
    }
    columns = ",\n    ".join([*(column.name for column in standard.conform_columns), "_batch_id", "_record_no"])
    return {
        "defs.yaml": _yaml(definitions),
        f"{DATASET}.odcs.yaml": _yaml(_source_contract(system, standard)),
        f"{DATASET}.sql": f"/* ---\n{_yaml(header)}--- */\nSELECT\n    {columns}\nFROM source\n",
        "metric_mappings.yaml": "# First match wins; what no line matches is unmapped and reported, such as\n"
        '#   - {match: "system.cpu.*", metric: system.cpu.utilization}\n'
        "mappings: []\n",
    }


def _source_contract(system: str, standard: DataContract) -> dict[str, Any]:
    """The standard contract without what the platform fills in."""
    document = read_yaml(standard.path)
    produced = {column.name for column in standard.conform_columns}
    table = document["schema"][0]
    return {
        "apiVersion": document["apiVersion"],
        "kind": "DataContract",
        "id": f"{system}_{DATASET}",
        "name": f"{DATASET} of {system}",
        "version": VERSION,
        "status": "active",
        "domain": "operations",
        "description": {"purpose": f"Metric definitions of {system}, as imported from its tool's catalogue."},
        "schema": [{**table, "properties": [p for p in table["properties"] if p["name"] in produced]}],
    }


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
