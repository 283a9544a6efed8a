"""Reading quality policies: Great Expectations suites in GX's own JSON, each expectation being one policy.

``expectations/<dataset>.json`` holds for all systems, ``expectations/<system>/<dataset>.json`` adds to it. Reading
needs no Great Expectations. Does not belong here: evaluating (``evaluation``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from omgov_assets.model_management.documents import content_hash, parse, read_json
from omgov_assets.model_management.errors import GovernanceError

QualityDimension = Literal[
    "accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness"
]
Severity = Literal["critical", "warning", "info"]


class PolicyMeta(BaseModel):
    """The ``meta`` that makes an expectation a policy; further keys are the steward's own.

    Attributes:
        policy_id: stable name of the policy.
        anomaly_type: what a failing subject suffers from.
        quality_dimension: ODCS quality dimension.
        expected: what is expected, in words.
        recovery: what to do now.
        requires: datasets (``<system>/<dataset>``, ``{system}`` for the own) without which it is not evaluated.
        observed: columns that show what was observed, where the judged column only holds a verdict.
    """

    model_config = ConfigDict(frozen=True)

    policy_id: str = Field(pattern=r"^[A-Za-z0-9_.\-]{1,120}$")
    anomaly_type: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    quality_dimension: QualityDimension
    expected: str
    recovery: str = ""
    requires: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()


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
    """All policies that apply to one dataset of one system, with a hash of them and of the view they see."""

    system: str
    dataset: str
    policies: tuple[Policy, ...]
    view_sql: str | None
    policy_hash: str

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
    return PolicySet(
        system=system,
        dataset=dataset,
        policies=tuple(policies),
        view_sql=view_sql,
        policy_hash=content_hash(view_sql or "", *(policy.model_dump_json() for policy in policies)),
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


def _policy_view(project: Path, system: str, dataset: str) -> str | None:
    governance = project / "governance"
    for folder in (governance / "systems" / system, governance / "standard"):
        path = folder / "policy_views" / f"{dataset}.sql"
        if path.is_file():
            return path.read_text(encoding="utf-8").strip().removesuffix(";")
    return None
