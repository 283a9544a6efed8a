"""What a change of a data contract means to those who rely on it, and which version it needs.

A contract is relied on from two sides. A *delivered* contract (of a business system's dataset) is relied on by the
conform model that reads the deliveries and by the deliveries of earlier days, which may be read again. A *governed*
contract (of a standard dataset) is relied on by every conform model that fills the table, by the days already in it,
and by all who read it.

====================================  ==========  ==========  ========================================================
change                                delivered   governed    because
====================================  ==========  ==========  ========================================================
column removed, or renamed            breaking    breaking    what reads it fails
column added, required                breaking    breaking    earlier deliveries and days do not have it
column added, optional                compatible  compatible  nothing that reads loses a column
type                                  breaking    breaking    the same text or table means other values
optional became required              breaking    breaking    what was sound is refused; earlier days hold nulls
required became optional              compatible  breaking    readers of the table meet nulls that they never met
key, or unique                        breaking    breaking    a row stands for something else
physicalName                          breaking    editorial   headers bear it; tables have the column's own name
timestampFormat                       breaking    editorial   the same text is read as another time, or not at all
partitioned                           editorial   breaking    the days of a table lie where its partitions say
origin (model or platform)            editorial   breaking    every conform model must give the column, or must not
grade raised                          compatible  breaking    readers may no longer see what they saw
grade lowered                         breaking    breaking    values are shown that were to be protected
order of the columns                  compatible  compatible  columns are found by their names
description, anything else            editorial   editorial   omgov does not act on it
====================================  ==========  ==========  ========================================================

Does not belong here: keeping what was published (``contract_publication``); changes of tables (``data_lake``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from omgov_assets.model_management.contracts import ContractColumn, DataContract

Side = Literal["delivered", "governed"]
ChangeKind = Literal["unchanged", "editorial", "compatible", "breaking"]

# Columns without a grade are treated as the highest.
UNGRADED = 4

_KINDS: tuple[ChangeKind, ...] = ("unchanged", "editorial", "compatible", "breaking")
_RULES: dict[str, tuple[ChangeKind, ChangeKind]] = {
    # change: delivered, governed
    "removed": ("breaking", "breaking"),
    "added_required": ("breaking", "breaking"),
    "added_optional": ("compatible", "compatible"),
    "type": ("breaking", "breaking"),
    "became_required": ("breaking", "breaking"),
    "became_optional": ("compatible", "breaking"),
    "key": ("breaking", "breaking"),
    "unique": ("breaking", "breaking"),
    "physical_name": ("breaking", "editorial"),
    "timestamp_format": ("breaking", "editorial"),
    "unit": ("breaking", "breaking"),
    "partition": ("editorial", "breaking"),
    "origin": ("editorial", "breaking"),
    "grade_raised": ("compatible", "breaking"),
    "grade_lowered": ("breaking", "breaking"),
    "order": ("compatible", "compatible"),
    "description": ("editorial", "editorial"),
    "remainder": ("editorial", "editorial"),
}


class ColumnDefinition(BaseModel):
    """A column of a contract, as far as changes of it are judged."""

    model_config = ConfigDict(frozen=True)

    name: str
    delivered_as: str
    sql_type: str
    required: bool
    key: bool
    unique: bool
    partition: bool
    filled_by_platform: bool
    grade: int
    timestamp_format: str | None
    # Absent from what was kept before contracts declared units.
    unit: str | None = None
    description: str
    remainder_hash: str


class ContractDefinition(BaseModel):
    """What is compared of a contract; kept as JSON for as long as the contract is published."""

    model_config = ConfigDict(frozen=True)

    columns: tuple[ColumnDefinition, ...]
    remainder_hash: str


@dataclass(frozen=True)
class Change:
    """One change of a contract: what it means, in one word and in a sentence."""

    kind: ChangeKind
    sentence: str


@dataclass(frozen=True)
class ContractChange:
    """All changes of a contract."""

    changes: tuple[Change, ...]

    @property
    def kind(self) -> ChangeKind:
        """The gravest of the changes."""
        return max((change.kind for change in self.changes), key=_KINDS.index, default="unchanged")

    @property
    def sentences(self) -> tuple[str, ...]:
        """The changes in words."""
        return tuple(change.sentence for change in self.changes)

    def sentences_of(self, kind: ChangeKind) -> tuple[str, ...]:
        """The changes of one kind in words."""
        return tuple(change.sentence for change in self.changes if change.kind == kind)


@dataclass(frozen=True)
class VersionVerdict:
    """Whether a contract may be published under its version.

    Attributes:
        accepted: it may.
        problem: what is wrong with the version, in words; also said of an accepted one.
        remedy: what to do about it, as an imperative.
    """

    accepted: bool
    problem: str | None = None
    remedy: str | None = None


def definition_of(contract: DataContract) -> ContractDefinition:
    """What is compared of a contract."""
    return ContractDefinition(
        columns=tuple(
            _column_definition(column, contract.column_remainder_hashes[column.name]) for column in contract.columns
        ),
        remainder_hash=contract.remainder_hash,
    )


def classify_change(published: ContractDefinition, current: ContractDefinition, side: Side) -> ContractChange:
    """What has changed between two states of a contract, and what that means on its side."""
    position = ("delivered", "governed").index(side)
    return ContractChange(
        tuple(Change(_RULES[change][position], sentence) for change, sentence in _changes(published, current))
    )


def require_version(published_version: str, current_version: str, kind: ChangeKind) -> VersionVerdict:
    """Judge the version under which a change comes.

    A breaking change needs a new major version, and no change may come under a lower version: both are refused. A
    compatible change without a new minor version is accepted, with a problem to report.

    Args:
        published_version: semantic version that was published last.
        current_version: semantic version of the changed contract.
        kind: what the change means.

    Raises:
        ValueError: a version is not semantic.
    """
    published, current = parse_version(published_version), parse_version(current_version)
    major, minor, patch = published
    if current < published:
        problem = f"version {current_version} is lower than version {published_version}, which is published"
        next_version = {"breaking": (major + 1, 0, 0), "compatible": (major, minor + 1, 0)}.get(
            kind, (major, minor, patch + 1)
        )
        return VersionVerdict(False, problem, f"give it version {_text(next_version)}")
    if kind == "breaking" and current[0] == major:
        problem = f"version {current_version} breaks version {published_version}, which is published"
        return VersionVerdict(False, problem, f"give it version {_text((major + 1, 0, 0))}, or take the change back")
    if kind == "compatible" and current[:2] == published[:2]:
        problem = f"version {current_version} extends version {published_version} without a new minor version"
        return VersionVerdict(True, problem, f"give it version {_text((major, minor + 1, 0))}")
    return VersionVerdict(True)


def parse_version(text: str) -> tuple[int, int, int]:
    """Major, minor and patch of a semantic version. Raises ``ValueError``."""
    try:
        major, minor, patch = (int(part) for part in text.split("."))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a semantic version such as 1.0.0") from error
    return major, minor, patch


def _text(version: tuple[int, int, int]) -> str:
    return ".".join(str(part) for part in version)


def _column_definition(column: ContractColumn, remainder_hash: str) -> ColumnDefinition:
    return ColumnDefinition(
        name=column.name,
        delivered_as=column.delivered_as,
        sql_type=column.sql_type,
        required=column.required,
        key=column.key,
        unique=column.unique,
        partition=column.partition,
        filled_by_platform=column.filled_by_platform,
        grade=int(column.classification or UNGRADED),
        timestamp_format=column.timestamp_format,
        unit=column.unit,
        description=column.description,
        remainder_hash=remainder_hash,
    )


def _changes(published: ContractDefinition, current: ContractDefinition) -> Iterator[tuple[str, str]]:
    """Names of the changes, as in the rules, and sentences."""
    before = {column.name: column for column in published.columns}
    after = {column.name: column for column in current.columns}
    for name in before:
        if name not in after:
            yield "removed", f"column {name} was removed"
    for name, column in after.items():
        if name in before:
            yield from _column_changes(before[name], column)
        elif column.required:
            yield "added_required", f"column {name} was added and is required"
        else:
            yield "added_optional", f"column {name} was added and is optional"
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield "order", "the columns stand in another order"
    if published.remainder_hash != current.remainder_hash:
        yield "remainder", "something changed beside the columns, which omgov does not act on"


def _column_changes(before: ColumnDefinition, after: ColumnDefinition) -> Iterator[tuple[str, str]]:
    column = f"column {after.name}"
    if before.required != after.required:
        state = "required" if after.required else "optional"
        yield f"became_{state}", f"{column} became {state}"
    if before.key != after.key:
        yield "key", f"{column} {'joined' if after.key else 'left'} the key"
    if before.unique != after.unique:
        yield "unique", f"{column} {'became unique' if after.unique else 'is no longer unique'}"
    if before.delivered_as != after.delivered_as:
        yield "physical_name", f"{column}: physicalName {before.delivered_as} became {after.delivered_as}"
    for name, key, old, new in (
        ("type", "type", before.sql_type, after.sql_type),
        ("timestamp_format", "timestampFormat", before.timestamp_format, after.timestamp_format),
        ("unit", "unit", before.unit, after.unit),
    ):
        if old != new:
            yield name, f"{column}: {key} {old or 'none'} became {new or 'none'}"
    if before.partition != after.partition:
        yield "partition", f"{column} {'joined' if after.partition else 'left'} the partitions"
    if before.filled_by_platform != after.filled_by_platform:
        yield "origin", f"{column} is now filled by {'the platform' if after.filled_by_platform else 'conform models'}"
    if before.grade != after.grade:
        direction = "raised" if after.grade > before.grade else "lowered"
        yield f"grade_{direction}", f"{column}: grade {before.grade} was {direction} to {after.grade}"
    if before.description != after.description:
        yield "description", f"{column}: the description changed"
    if before.remainder_hash != after.remainder_hash:
        yield "remainder", f"{column}: something changed that omgov does not act on"
