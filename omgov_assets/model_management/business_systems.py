"""Business systems: what each delivers and how, from ``governance/systems/<system>/``.

Does not belong here: fetching deliveries (``data_management``) or reading them (``admission``).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from omgov_assets.model_management.contracts import DataContract, load_contract
from omgov_assets.model_management.documents import content_hash, parse, read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.metric_mappings import MetricMapping, load_metric_mappings
from omgov_assets.model_management.processing_models import ProcessingModel, load_processing_model
from omgov_assets.model_management.units import UnitTable

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"

DeliveryFormat = Literal["csv", "ndjson", "json", "parquet", "sqlite"]


class DeliverySource(BaseModel):
    """A file, or a member of an archive, that serves as the delivery of any day for which none has landed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root_env: str
    root: str
    file: str
    member: str | None = None

    @field_validator("file", "member")
    @classmethod
    def _stays_below_root(cls, value: str | None) -> str | None:
        if value is not None and (PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts):
            raise ValueError("must be a relative path without '..'")
        return value


class Limits(BaseModel):
    """What a file of a dataset may hold at most; what holds more is refused before it can exhaust the machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_file_bytes: int = Field(default=8 << 30, ge=1)
    max_rows: int = Field(default=100_000_000, ge=1)
    # One record of a text, JSON or SQLite file.
    max_row_bytes: int = Field(default=16 << 20, ge=1, le=1 << 30)
    # Bytes in memory for each byte of the file, where that is packed or encoded.
    max_expansion: int = Field(default=1_000, ge=1)
    # Objects and lists of JSON within each other.
    max_nesting: int = Field(default=64, ge=1, le=512)


class Transport(BaseModel):
    """How a dataset arrives: format and encoding of its files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: DeliveryFormat
    encoding: Literal["utf-8", "gbk", "gb18030", "utf-16"] = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    table: str | None = None
    final_newline: Literal["required", "optional"] = "required"
    line_ends_in_values: Literal["forbidden", "allowed"] = "forbidden"
    source: DeliverySource | None = None
    limits: Limits = Limits()


class SystemAttributes(BaseModel):
    """The ``attributes`` of a ``defs.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str = Field(pattern=NAME_PATTERN)
    title: str
    owner: str
    datasets: dict[str, Transport] = Field(min_length=1)

    @field_validator("datasets")
    @classmethod
    def _tables_named(cls, datasets: dict[str, Transport]) -> dict[str, Transport]:
        for name, transport in datasets.items():
            if (transport.table is not None) != (transport.format == "sqlite"):
                raise ValueError(f"dataset {name}: `table` goes with format sqlite, and sqlite needs it")
        return datasets


class SourceDataset(BaseModel):
    """One dataset of one business system: transport, source contract, standard contract and conform model."""

    model_config = ConfigDict(frozen=True)

    name: str
    transport: Transport
    source_contract: DataContract
    standard_contract: DataContract
    model: ProcessingModel

    @cached_property
    def contract_hash(self) -> str:
        """Hash of everything that says how a record must look."""
        return content_hash(
            self.source_contract.content_hash, self.standard_contract.content_hash, self.transport.model_dump_json()
        )


class BusinessSystem(BaseModel):
    """All of one business system."""

    model_config = ConfigDict(frozen=True)

    name: str
    title: str
    owner: str
    folder: Path
    datasets: dict[str, SourceDataset]
    mappings: tuple[MetricMapping, ...]

    @cached_property
    def mappings_hash(self) -> str:
        """Hash of the metric mappings."""
        return content_hash(*(mapping.model_dump_json() for mapping in self.mappings))


def load_business_system(
    folder: Path,
    standard_contracts: dict[str, DataContract],
    metric_names: Collection[str],
    units: UnitTable,
    faulty_models: list[GovernanceError] | None = None,
) -> BusinessSystem:
    """Read ``governance/systems/<system>/``.

    Args:
        folder: folder of the system; it bears the system's name.
        standard_contracts: contracts of the standard datasets by name.
        metric_names: names of the metric standard, which mappings must hit.
        units: spellings that a mapping's unit may use.
        faulty_models: if given, takes the errors of models that cannot be read; empty ones stand in for them.

    Raises:
        GovernanceError: anything that is missing, malformed or does not fit together.
    """
    path = folder / "defs.yaml"
    document: Any = read_yaml(path)
    attributes = parse(
        SystemAttributes, document.get("attributes") if isinstance(document, dict) else None, path, "attributes"
    )
    if attributes.system != folder.name:
        raise GovernanceError(
            path, "attributes.system", f"says {attributes.system!r}", f"say {folder.name!r}, as the folder"
        )
    datasets = {}
    for name, transport in attributes.datasets.items():
        if name not in standard_contracts:
            raise GovernanceError(
                path,
                f"attributes.datasets.{name}",
                "no standard data contract describes this dataset",
                f"add governance/standard/data_contracts/{name}.odcs.yaml or correct the name",
            )
        datasets[name] = SourceDataset(
            name=name,
            transport=transport,
            source_contract=load_contract(folder / f"{name}.odcs.yaml"),
            standard_contract=standard_contracts[name],
            model=load_processing_model(folder / f"{name}.sql", faulty_models),
        )
    mappings_path = folder / "metric_mappings.yaml"
    return BusinessSystem(
        name=attributes.system,
        title=attributes.title,
        owner=attributes.owner,
        folder=folder,
        datasets=datasets,
        mappings=load_metric_mappings(mappings_path, metric_names, units) if mappings_path.is_file() else (),
    )
