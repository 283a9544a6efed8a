"""Access rules: roles, principals, purposes, row filters and masks of ``governance/access/access.yaml``.

Belongs here: the document as checked objects, together with the Cedar policies that it goes with. Does not belong here:
reading policies (``access_policies``), what an entry of an identity provider says (``identity_providers``), deciding by
them (``access_control``). Secrets do not belong in the document: it names the environment variable that holds the key
of masks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omgov_assets.data_lake.masks import MASKS, Mask, mask_fits
from omgov_assets.data_lake.schemas import TableSchema, platform_tables, table_schema
from omgov_assets.model_management.access_policies import ACCESS_FOLDER, AccessPolicies, Known, load_access_policies
from omgov_assets.model_management.business_systems import BusinessSystem
from omgov_assets.model_management.contracts import DataContract
from omgov_assets.model_management.documents import content_hash, parse, read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.identity_providers import (
    NOBODY,
    IdentityProvider,
    check_identity_providers,
    with_key_sets,
)
from omgov_assets.model_management.processing_models import DERIVED_SYSTEM

ACCESS_DOCUMENT = f"{ACCESS_FOLDER}/access.yaml"
HIGHEST_GRADE = 4
# What derive models give rows of.
_DERIVED_DATASETS = ("metric_instances", "metric_samples")

Clearance = Annotated[int, Field(ge=1, le=HIGHEST_GRADE, strict=True)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@:-]{0,127}$")]
# `<folder>/<table>`, or `*/<table>` for the table of every folder.
DatasetPattern = Annotated[str, Field(pattern=r"^(\*|[a-z0-9_]+)/[a-z0-9_]+$")]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Role(_Document):
    """What a role may be given at most; what it permits is for the policies to say."""

    brief: str = Field(min_length=1)
    clearance: Clearance


class KnownPrincipal(_Document):
    """A person or a service that the firm knows by name; others come with a token of the firm's identity provider.

    Attributes:
        valid_until: last day of the grant.
    """

    id: Name
    roles: Annotated[tuple[Name, ...], Field(min_length=1)]
    clearance: Clearance
    purposes: Annotated[tuple[Name, ...], Field(min_length=1)]
    support_groups: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    valid_until: date


class GroupThrough(_Document):
    """The support group of a row by way of another table.

    Attributes:
        column: column of the dataset that is looked up.
        dataset: table that knows the support group.
        key: its column that ``column`` refers to.
        group: its column with the support group.
        as_of: which of its days says whose a row is: ``its_day``, the row's own, or ``last_day``, the last that the
            table has, so that what is a group's now is so with all of its past.
    """

    column: str
    dataset: str
    key: str
    group: str
    as_of: Literal["its_day", "last_day"] = "its_day"

    @property
    def in_words(self) -> str:
        """The way as words, such as ``responsible of case_id in exceptions/cases of the last day``."""
        of_day = " of the last day" if self.as_of == "last_day" else ""
        return f"{self.group} of {self.column} in {self.dataset}{of_day}"


class RowFilter(_Document):
    """Which rows of datasets are a principal's, by its systems and support groups.

    Attributes:
        datasets: patterns of datasets.
        system: column with the business system.
        support_group: column with the support group, or the way to it.
        match: whether a row must be of the principal's systems and of its groups, or of either.
    """

    datasets: Annotated[tuple[DatasetPattern, ...], Field(min_length=1)]
    system: str | None = None
    support_group: str | GroupThrough | None = None
    match: Literal["all", "any"] | None = None

    @model_validator(mode="after")
    def _says_how_it_filters(self) -> RowFilter:
        if self.system is None and self.support_group is None:
            raise ValueError("name the column of the system, of the support group, or both")
        if (self.match is None) == (self.system is not None and self.support_group is not None):
            raise ValueError("match says whether all or any must hold, where both system and support_group are named")
        return self


class MetricValues(_Document):
    """Columns whose values are of the grade of the metric that their row is of; of an unmapped one, the highest."""

    datasets: Annotated[tuple[DatasetPattern, ...], Field(min_length=1)]
    metric: str
    columns: Annotated[tuple[str, ...], Field(min_length=1)]


class MaskKeySource(_Document):
    """Where the key of ``hmac`` masks comes from: an environment variable with at least 64 hexadecimal digits.

    Attributes:
        valid_until: last day on which it may be used.
    """

    env: str
    valid_until: date

    @model_validator(mode="after")
    def _names_a_variable(self) -> MaskKeySource:
        # On the whole entry, so that a key written here by mistake is not repeated in the message.
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", self.env):
            raise ValueError("env is the name of an environment variable, never the key itself")
        return self


class AccessRules(_Document):
    """What the firm says of who may see what; a firm without it denies everything.

    Attributes:
        owner: who decides them.
        purposes: what data may be asked for.
        oidc: identity providers whose tokens say who asks, beside the principals that are known by name.
        masks: by ``<dataset pattern>.<column>``, for columns whose contract says nothing of it.
        policies: the Cedar policies beside the document; they are not written in it.
    """

    owner: str = ""
    purposes: tuple[Name, ...] = ()
    roles: dict[Name, Role] = {}
    principals: tuple[KnownPrincipal, ...] = ()
    oidc: tuple[IdentityProvider, ...] = ()
    row_filters: tuple[RowFilter, ...] = ()
    metric_values: tuple[MetricValues, ...] = ()
    masks: dict[str, Mask] = {}
    mask_key: MaskKeySource | None = None
    policies: Annotated[AccessPolicies, Field(exclude=True)] = AccessPolicies()

    @cached_property
    def policy_hash(self) -> str:
        """Hash of document, policies and schema: what decisions were made by."""
        return content_hash(self.model_dump_json(), self.policies.text, self.policies.schema)

    @cached_property
    def principal_of(self) -> dict[str, KnownPrincipal]:
        """Principals by name."""
        return {principal.id: principal for principal in self.principals}

    def row_filter(self, dataset: str) -> RowFilter | None:
        """The row filter of a dataset."""
        return next((one for one in self.row_filters if _matching(one.datasets, dataset)), None)

    def values_by_metric(self, dataset: str) -> MetricValues | None:
        """The columns of a dataset that are of the grade of their row's metric."""
        return next((one for one in self.metric_values if _matching(one.datasets, dataset)), None)

    def mask(self, dataset: str, column: str) -> Mask | None:
        """The mask of a column, where its contract says nothing of it."""
        return self.masks.get(f"{dataset}.{column}") or self.masks.get(f"*/{dataset.partition('/')[2]}.{column}")


def readable_tables(
    contracts: Mapping[str, DataContract], systems: Mapping[str, BusinessSystem], folder: Path
) -> dict[str, TableSchema]:
    """Schemas of all tables of the lake that can be asked for, by ``<folder>/<table>``.

    ``folder`` is that of the standard data contracts.
    """
    names = {name for name in platform_tables() if "/" in name}
    for system in systems.values():
        names |= {f"{system.name}/{dataset}" for dataset in system.datasets if dataset in contracts}
        names |= {f"{system.name}/{dataset}_quarantine" for dataset in system.datasets}
    names |= {f"{DERIVED_SYSTEM}/{dataset}" for dataset in _DERIVED_DATASETS if dataset in contracts}
    return {name: table_schema(name, folder) for name in sorted(names)}


def load_access_rules(project: Path, tables: Mapping[str, TableSchema]) -> AccessRules:
    """Read and check the access rules of a project; nothing is permitted where it has none.

    Args:
        project: folder that holds ``governance/``.
        tables: the tables that can be asked for; see ``readable_tables``.

    Raises:
        GovernanceError: a file is malformed; a role, dataset or column does not exist; two grants contradict each
            other; a mask does not fit its column; an identity provider cannot be trusted as its entry says.
    """
    path = project / ACCESS_DOCUMENT
    if not path.is_file():
        stray = next(iter(sorted((project / ACCESS_FOLDER).glob("*.cedar"))), None)
        if stray is not None:
            raise GovernanceError(path, "document", f"is missing beside {stray.name}", "add it: roles, principals")
        return AccessRules()
    document = read_yaml(path)
    if isinstance(document, dict) and "policies" in document:
        problem = "policies are written in Cedar, in files beside this one"
        raise GovernanceError(path, "policies", problem, "move them there")
    for position, provider in enumerate(_entries(document, "oidc")):
        if isinstance(provider, dict) and "key_set" in provider:
            problem = "keys are written in a file of their own"
            raise GovernanceError(path, f"oidc[{position}].key_set", problem, "name the file as jwks_file")
    rules = parse(AccessRules, document, path)
    _check_principals(rules, path)
    names = [principal.id for principal in rules.principals]
    check_identity_providers(rules.oidc, frozenset(rules.roles), names, path)
    _check_row_filters(rules, tables, path)
    _check_metric_values(rules, tables, path)
    _check_masks(rules, tables, path)
    known = Known(rules.roles, {name: schema.names for name, schema in tables.items()})
    given = {"policies": load_access_policies(project, known), "oidc": with_key_sets(rules.oidc, path)}
    return rules.model_copy(update=given)


def _entries(document: Any, key: str) -> list[Any]:
    entries = document.get(key) if isinstance(document, dict) else None
    return entries if isinstance(entries, list) else []


def _check_principals(rules: AccessRules, path: Path) -> None:
    seen: set[str] = set()
    for position, principal in enumerate(rules.principals):
        key = f"principals[{position}]"
        if principal.id in seen:
            raise GovernanceError(path, f"{key}.id", f"{principal.id!r} stands twice", "keep one of the two")
        seen.add(principal.id)
        if principal.id == NOBODY:
            problem = f"{NOBODY!r} stands in the record for whoever did not prove who they are"
            raise GovernanceError(path, f"{key}.id", problem, "call it otherwise")
        for role in principal.roles:
            if role not in rules.roles:
                remedy = f"name one of {', '.join(sorted(rules.roles)) or 'roles, of which there is none'}"
                raise GovernanceError(path, f"{key}.roles", f"no role is called {role!r}", remedy)
        for purpose in principal.purposes:
            if purpose not in rules.purposes:
                remedy = f"name one of {', '.join(rules.purposes) or 'purposes, of which there is none'}"
                raise GovernanceError(path, f"{key}.purposes", f"no purpose is called {purpose!r}", remedy)
        highest = max(rules.roles[role].clearance for role in principal.roles)
        if principal.clearance > highest:
            problem = f"clearance {principal.clearance} contradicts the roles, which are cleared for {highest} at most"
            raise GovernanceError(path, f"{key}.clearance", problem, "lower it, or give another role")


def _check_row_filters(rules: AccessRules, tables: Mapping[str, TableSchema], path: Path) -> None:
    _refuse_overlaps("row_filters", [one.datasets for one in rules.row_filters], tables, path)
    for position, one in enumerate(rules.row_filters):
        key = f"row_filters[{position}]"
        for dataset in _matched(one.datasets, tables, f"{key}.datasets", path):
            through = one.support_group if isinstance(one.support_group, GroupThrough) else None
            group = through.column if through else one.support_group
            for column in (one.system, group):
                if isinstance(column, str):
                    _text_column(tables[dataset], column, key, path)
            if through is not None:
                if through.dataset not in tables:
                    problem = f"there is no dataset {through.dataset!r}"
                    raise GovernanceError(path, f"{key}.support_group.dataset", problem, "correct its name")
                for column in (through.key, through.group):
                    _text_column(tables[through.dataset], column, f"{key}.support_group", path)


def _check_metric_values(rules: AccessRules, tables: Mapping[str, TableSchema], path: Path) -> None:
    _refuse_overlaps("metric_values", [one.datasets for one in rules.metric_values], tables, path)
    for position, one in enumerate(rules.metric_values):
        key = f"metric_values[{position}]"
        for dataset in _matched(one.datasets, tables, f"{key}.datasets", path):
            _text_column(tables[dataset], one.metric, f"{key}.metric", path)
            for column in one.columns:
                _column_type(tables[dataset], column, f"{key}.columns", path)


def _check_masks(rules: AccessRules, tables: Mapping[str, TableSchema], path: Path) -> None:
    for name, mask in rules.masks.items():
        key = f"masks.{name}"
        pattern, _, column = name.partition(".")
        if not re.fullmatch(r"(\*|[a-z0-9_]+)/[a-z0-9_]+", pattern) or not column:
            raise GovernanceError(path, key, "is no column", "write <dataset>.<column>, such as cmdb/owners.phone")
        for dataset in _matched((pattern,), tables, key, path):
            sql_type = _column_type(tables[dataset], column, key, path)
            _require_fitting(mask, sql_type, f"{dataset}.{column}", key, path)
            said = next(one.mask for one in tables[dataset].columns if one.name == column)
            if said not in (None, mask):
                problem = f"contradicts the contract of {dataset}, which masks the column by {said!r}"
                raise GovernanceError(path, key, problem, "keep one of the two")
    for dataset, schema in tables.items():
        for declared in schema.columns:
            if declared.mask is not None:
                key = f"contract of {dataset}, column {declared.name}"
                _require_fitting(declared.mask, declared.sql_type, f"{dataset}.{declared.name}", key, path)


def _require_fitting(mask: str, sql_type: str, column: str, key: str, path: Path) -> None:
    if not mask_fits(mask, sql_type):
        fitting = ", ".join(one for one in MASKS if mask_fits(one, sql_type))
        raise GovernanceError(path, key, f"{mask!r} does not fit {column}, which is {sql_type}", f"choose {fitting}")


def _refuse_overlaps(key: str, patterns: list[tuple[str, ...]], tables: Mapping[str, TableSchema], path: Path) -> None:
    for dataset in tables:
        matching = [position for position, one in enumerate(patterns) if _matching(one, dataset)]
        if len(matching) > 1:
            problem = f"{dataset} is in {key}[{matching[0]}] as well"
            raise GovernanceError(path, f"{key}[{matching[1]}].datasets", problem, "let one entry say what holds")


def _matched(patterns: tuple[str, ...], tables: Mapping[str, TableSchema], key: str, path: Path) -> list[str]:
    for pattern in patterns:
        if not any(_matching((pattern,), dataset) for dataset in tables):
            raise GovernanceError(path, key, f"no dataset is {pattern!r}", "correct its name, or remove it")
    return [dataset for dataset in tables if _matching(patterns, dataset)]


def _matching(patterns: tuple[str, ...], dataset: str) -> bool:
    return dataset in patterns or f"*/{dataset.partition('/')[2]}" in patterns


def _text_column(schema: TableSchema, column: str, key: str, path: Path) -> None:
    if (sql_type := _column_type(schema, column, key, path)) != "VARCHAR":
        raise GovernanceError(path, key, f"{schema.name}.{column} is {sql_type}", "name a column of texts")


def _column_type(schema: TableSchema, column: str, key: str, path: Path) -> Any:
    found = next((one.sql_type for one in schema.columns if one.name == column), None)
    if found is None:
        problem = f"{schema.name} has no column {column!r}"
        raise GovernanceError(path, key, problem, "correct its name, or remove what was about it")
    return found
