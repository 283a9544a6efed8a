"""Reading quality policies: Great Expectations suites in GX's own JSON, each expectation being one policy.

``expectations/<dataset>.json`` holds for all systems, ``expectations/<system>/<dataset>.json`` adds to it. Reading
needs no Great Expectations. Does not belong here: evaluating (``evaluation``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from omgov_assets.model_management.documents import content_hash, parse, read_json, read_text
from omgov_assets.model_management.errors import GovernanceError

QualityDimension = Literal[
    "accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness"
]
Severity = Literal["critical", "warning", "info"]


_SHARED_VIEW = re.compile(r"\bshared\.([a-z][a-z0-9_]*)\b")


class PolicySubject(BaseModel):
    """What fails a policy written as a query, where that is no row of the dataset.

    Attributes:
        kind: kind of the subject.
        key: columns of the query that identify it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["expected_instance"]
    key: tuple[str, ...] = Field(min_length=1)


class PolicyMeta(BaseModel):
    """The ``meta`` that makes an expectation a policy; further keys are the steward's own.

    Attributes:
        policy_id: stable name of the policy.
        anomaly_type: what a failing subject suffers from.
        quality_dimension: ODCS quality dimension.
        expected: what is expected, in words.
        recovery: what to do now.
        requires: datasets (``<system>/<dataset>``, ``{system}`` for the own, ``firm`` for every system that delivers
            the dataset) without which it is not evaluated.
        observed: columns that show what was observed, where the judged column only holds a verdict.
        subject: what fails, where the policy is a query whose rows are no rows of the dataset.
        population: query that counts the subjects judged, of such a policy.
        effective_from: first business day on which the policy is in force; None for always.
        effective_until: last business day on which it is in force; None for always.
        admission: what the gate does with rows that fail it: ``quarantine`` them, ``warn`` and admit them, ``reject``
            the batch; None where only the lake is judged by it.
        max_refused_rows: at the gate, with more failing rows than this the batch is refused; None for any number.
        max_refused_share: the same as a share of the batch's records.
    """

    model_config = ConfigDict(frozen=True)

    policy_id: str = Field(pattern=r"^[A-Za-z0-9_.\-]{1,120}$")
    anomaly_type: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    quality_dimension: QualityDimension
    expected: str
    recovery: str = ""
    requires: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()
    subject: PolicySubject | None = None
    population: str | None = None
    effective_from: date | None = None
    effective_until: date | None = None
    admission: Literal["quarantine", "warn", "reject"] | None = None
    max_refused_rows: int | None = Field(default=None, ge=0)
    max_refused_share: float | None = Field(default=None, ge=0, le=1)


class Policy(BaseModel):
    """One expectation of a suite. Of GX's own keys, those that change no verdict are accepted and not acted on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kwargs: dict[str, Any] = Field(default_factory=dict)
    severity: Severity
    meta: PolicyMeta
    id: str | None = Field(default=None, exclude=True)
    notes: str | list[str] | None = Field(default=None, exclude=True)
    description: str | None = Field(default=None, exclude=True)
    rendered_content: Any = Field(default=None, exclude=True)

    @property
    def policy_id(self) -> str:
        """Identifier of the policy."""
        return self.meta.policy_id

    @property
    def columns(self) -> list[str]:
        """Columns that the expectation judges, as far as its arguments name them."""
        named = [self.kwargs[key] for key in ("column", "column_A", "column_B") if key in self.kwargs]
        return [str(name) for name in [*named, *self.kwargs.get("column_list", [])]]

    def in_force(self, day: date) -> bool:
        """Whether the policy judges a business day."""
        return (self.meta.effective_from or day) <= day <= (self.meta.effective_until or day)

    def required_tables(self, system: str, datasets: Mapping[str, Collection[str]]) -> list[str]:
        """Tables without which the policy is not evaluated on a system; ``datasets`` are what each system delivers."""
        tables: list[str] = []
        for requirement in self.meta.requires:
            owner, _, dataset = requirement.replace("{system}", system).partition("/")
            owners = [name for name, names in datasets.items() if dataset in names] if owner == "firm" else [owner]
            tables += [f"{name}/{dataset}" for name in owners]
        return list(dict.fromkeys(tables))

    @property
    def observed_columns(self) -> list[str]:
        """Columns whose values are stored as what was observed."""
        return list(self.meta.observed) or self.columns

    @property
    def column_name(self) -> str | None:
        """The judged columns as one text."""
        return ", ".join(self.columns) or None


class _Suite(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    expectations: tuple[Policy, ...]
    id: str | None = None
    notes: str | list[str] | None = None
    meta: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class PolicySet:
    """All policies that apply to one dataset of one system, with a hash of them and of the views they see.

    ``view_sql`` is the dataset's policy view; ``shared_views`` are the named queries that it or a policy refers to.
    """

    system: str
    dataset: str
    policies: tuple[Policy, ...]
    view_sql: str | None
    policy_hash: str
    shared_views: dict[str, str] = field(default_factory=dict)

    @property
    def dimensions(self) -> list[QualityDimension]:
        """Quality dimensions that the policies cover, sorted."""
        return cast(list[QualityDimension], sorted({policy.meta.quality_dimension for policy in self.policies}))


def load_policy_set(project: Path, system: str, dataset: str) -> PolicySet:
    """The policies of a dataset; empty where no suite names it.

    Raises:
        GovernanceError: malformed suite, missing ``meta``, or a policy id used twice.
    """
    policies: list[Policy] = []
    seen: dict[str, Path] = {}
    folder = project / "expectations"
    for path in (folder / f"{dataset}.json", folder / system / f"{dataset}.json"):
        if not path.is_file():
            continue
        suite = parse(_Suite, read_json(path), path)
        for index, policy in enumerate(suite.expectations):
            if policy.policy_id in seen:
                raise GovernanceError(
                    path,
                    f"expectations[{index}].meta.policy_id",
                    f"{policy.policy_id!r} is used already in {seen[policy.policy_id].name}",
                    "give each policy an id of its own",
                )
            seen[policy.policy_id] = path
            policies.append(policy)
    view_sql = _policy_view(project, system, dataset)
    shared_views = _shared_views(project, [view_sql or "", *map(policy_text, policies)])
    return PolicySet(
        system=system,
        dataset=dataset,
        policies=tuple(policies),
        view_sql=view_sql,
        policy_hash=content_hash(
            view_sql or "", *shared_views.values(), *(policy.model_dump_json() for policy in policies)
        ),
        shared_views=shared_views,
    )


def check_suite_files(project: Path, systems: dict[str, Iterable[str]]) -> None:
    """Refuse suites that would never be run.

    Args:
        project: folder with ``expectations/``.
        systems: datasets by system.

    Raises:
        GovernanceError: a suite file that names an unknown system or dataset, or is not valid.
    """
    datasets = {name for names in systems.values() for name in names}
    folder = project / "expectations"
    for path in sorted(folder.rglob("*.json")):
        parts = path.relative_to(folder).with_suffix("").parts
        known = parts[0] in datasets if len(parts) == 1 else parts[0] in systems and parts[1] in systems[parts[0]]
        if len(parts) > 2 or not known:
            raise GovernanceError(
                path,
                "file name",
                "no system delivers such a dataset",
                "name it <dataset>.json or <system>/<dataset>.json",
            )
        parse(_Suite, read_json(path), path)


def policy_arguments(policy: Policy) -> str:
    """The expectation's arguments as JSON text."""
    return json.dumps(policy.kwargs, ensure_ascii=False, sort_keys=True)


def policy_text(policy: Policy) -> str:
    """Everything in a policy that may name columns, tables or views."""
    meta = policy.meta
    return json.dumps([policy.kwargs, meta.observed, meta.population], ensure_ascii=False)


def _shared_views(project: Path, texts: list[str]) -> dict[str, str]:
    """The queries of ``policy_views/shared/`` that texts refer to as ``shared.<name>``, and those these refer to."""
    views: dict[str, str] = {}
    pending = sorted({name for text in texts for name in _SHARED_VIEW.findall(text)})
    while pending:
        name = pending.pop()
        if name in views:
            continue
        path = project / "governance" / "standard" / "policy_views" / "shared" / f"{name}.sql"
        views[name] = read_text(path).strip().removesuffix(";")
        pending += _SHARED_VIEW.findall(views[name])
    return views


def _policy_view(project: Path, system: str, dataset: str) -> str | None:
    governance = project / "governance"
    for folder in (governance / "systems" / system, governance / "standard"):
        path = folder / "policy_views" / f"{dataset}.sql"
        if path.is_file():
            return path.read_text(encoding="utf-8").strip().removesuffix(";")
    return None
