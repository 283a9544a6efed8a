"""Admission rules: how much of a batch may be refused, by when a dataset is due, how many rows are usual.

Belongs here: `governance/admission.yaml` as checked objects. Does not belong here: deciding by them (``admission``),
policies on rows (``quality_policy``; those with ``meta.admission`` are judged at the gate).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from omgov_assets.model_management.documents import parse, read_yaml
from omgov_assets.model_management.errors import GovernanceError

ADMISSION_DOCUMENT = "governance/admission.yaml"


class UsualRows(BaseModel):
    """How many rows are usual: a band around the median of comparable earlier days.

    Attributes:
        weeks: how far back days are compared.
        minimum_days: days of the same weekday that are needed; with fewer nothing is said.
        tolerance: half width of the band at least, as a share of the median.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weeks: int = Field(default=8, ge=1, le=104)
    minimum_days: int = Field(default=3, ge=2, le=104)
    tolerance: float = Field(default=0.5, gt=0, le=10)


class AdmissionRules(BaseModel):
    """What holds for the deliveries of a dataset.

    Attributes:
        max_refused_rows: with more refused records than this the batch is refused as a whole; None for any number.
        max_refused_share: the same as a share of the batch's records.
        deadline: local time (HH:MM) by which a business day's delivery is due; None for no deadline.
        deadline_days: days after the business day on which it is due.
        usual_rows: the band of usual row counts; None where any number is usual.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_refused_rows: int | None = Field(default=None, ge=0)
    max_refused_share: float | None = Field(default=None, ge=0, le=1)
    deadline: time | None = None
    deadline_days: int = Field(default=1, ge=0, le=31)
    usual_rows: UsualRows | None = UsualRows()

    @field_validator("deadline", mode="before")
    @classmethod
    def _reads_as_time_of_day(cls, value: object) -> object:
        # YAML 1.1 takes 06:00 without quotes for a number in base 60.
        return (
            f"{value // 60:02d}:{value % 60:02d}" if isinstance(value, int) and not isinstance(value, bool) else value
        )

    def due_at(self, day: date, zone: ZoneInfo) -> datetime | None:
        """The moment by which the delivery of a business day is due; None without a deadline."""
        if self.deadline is None:
            return None
        return datetime.combine(day + timedelta(days=self.deadline_days), self.deadline, zone)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    owner: str = ""
    default: AdmissionRules = AdmissionRules()
    datasets: dict[str, dict[str, object]] = {}


class RuleBook(BaseModel):
    """The admission rules of a firm.

    Attributes:
        default: what holds where nothing else is said.
        datasets: rules by ``<dataset>`` (all systems) and by ``<system>/<dataset>``.
    """

    model_config = ConfigDict(frozen=True)

    default: AdmissionRules = AdmissionRules()
    datasets: dict[str, AdmissionRules] = {}

    def of(self, system: str, dataset: str) -> AdmissionRules:
        """The rules of a dataset of a system: the most particular that there are."""
        return self.datasets.get(f"{system}/{dataset}") or self.datasets.get(dataset) or self.default


def load_admission_rules(path: Path, systems: Mapping[str, Collection[str]]) -> RuleBook:
    """Read the rules; where there is no such file, nothing bounds a batch and nothing is due.

    A dataset's rules say only what differs: the rest is taken from the rules of the dataset for all systems, and from
    ``default``.

    Args:
        path: YAML file with ``default`` and ``datasets``.
        systems: datasets by system.

    Raises:
        GovernanceError: a malformed file, or rules for a dataset that nobody delivers.
    """
    if not path.is_file():
        return RuleBook()
    document = parse(_Document, read_yaml(path), path)
    delivered = {name for names in systems.values() for name in names}
    known = delivered | {f"{system}/{name}" for system, names in systems.items() for name in names}
    found: dict[str, AdmissionRules] = {}
    # Those for all systems first: those of one system build upon them.
    for name in sorted(document.datasets, key=lambda name: ("/" in name, name)):
        key = f"datasets.{name}"
        if name not in known:
            remedy = "name a <dataset> or <system>/<dataset> that is delivered, or remove it"
            raise GovernanceError(path, key, "no system delivers it", remedy)
        base = found.get(name.rpartition("/")[2], document.default)
        said = {field: getattr(base, field) for field in base.model_fields_set} | document.datasets[name]
        found[name] = parse(AdmissionRules, said, path, key)
    return RuleBook(default=document.default, datasets=found)
