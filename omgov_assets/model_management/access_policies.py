"""Access policies in Cedar: ``governance/access/*.cedar``, checked against their schema and against what there is.

Cedar skips a ``forbid`` that errors, so nothing that could err may come through here: a policy is refused with a
``GovernanceError`` where it does not parse, is not of the schema, has no name, or names what does not exist. Does not
belong here: what the policies decide (``access_control``), the rest of the access rules (``access_rules``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omgov_assets.model_management.documents import read_text
from omgov_assets.model_management.errors import GovernanceError

ACCESS_FOLDER = "governance/access"
SCHEMA_DOCUMENT = f"{ACCESS_FOLDER}/schema.cedarschema"

# What the decision function asks, and of what: the schema must know these.
READ, READ_ALL_ROWS = "read", "read_all_rows"
SEE, SEE_MASKED = "see", "see_masked"
ACT, WRITE = "act", "write"
DATASET_ACTIONS = (READ, READ_ALL_ROWS, ACT, WRITE)
COLUMN_ACTIONS = (SEE, SEE_MASKED)


@dataclass(frozen=True)
class Known:
    """What policies may name.

    Attributes:
        roles: roles of ``access.yaml``.
        columns: names of its columns by dataset, ``<folder>/<table>``.
    """

    roles: Collection[str]
    columns: Mapping[str, Collection[str]]

    @property
    def entities(self) -> dict[str, set[str]]:
        """Identifiers by entity type."""
        return {
            "Role": set(self.roles),
            "Dataset": set(self.columns),
            "Folder": {dataset.partition("/")[0] for dataset in self.columns},
            "Column": {f"{dataset}.{column}" for dataset, columns in self.columns.items() for column in columns},
        }


@dataclass(frozen=True)
class AccessPolicies:
    """Policies and schema as text, as Cedar takes them; without policies nobody may anything.

    Attributes:
        text: all policies, in the order of their files' names.
        schema: the Cedar schema.
        names: the policies' ``@id``, in order.
    """

    text: str = ""
    schema: str = ""
    names: tuple[str, ...] = ()


@dataclass
class _Policy:
    """A policy as Cedar's JSON has it."""

    name: str
    effect: str
    scope: str
    conditions: str
    entities: list[tuple[str, str]] = field(default_factory=list)


def load_access_policies(project: Path, known: Known) -> AccessPolicies:
    """Read and check the policies and the schema of a project; there are none where it has no such file.

    Raises:
        GovernanceError: a file is malformed; the schema does not know what is asked; a policy has no name or one that
            stands twice, is a template, names a role, dataset, folder or column that does not exist, or contradicts
            another.
    """
    paths = sorted((project / ACCESS_FOLDER).glob("*.cedar"))
    if not paths:
        return AccessPolicies()
    schema = _read_schema(project / SCHEMA_DOCUMENT)
    found: dict[str, tuple[Path, _Policy]] = {}
    for path in paths:
        for policy in _read_policies(path, schema):
            if policy.name in found:
                problem = f"a policy of that name stands in {found[policy.name][0].name} as well"
                raise GovernanceError(path, policy.name, problem, "give each policy an @id of its own")
            _refuse_unknown_entities(path, policy, known)
            _refuse_contradiction(path, policy, found)
            found[policy.name] = (path, policy)
    return AccessPolicies("\n".join(read_text(path) for path in paths), schema, tuple(found))


def _read_schema(path: Path) -> str:
    import cedarpy

    text = read_text(path)
    try:
        schema = cedarpy.Schema.from_str(text)
        entities = cedarpy.Entities.from_json_str(json.dumps(_SAMPLE), schema)
    except ValueError as error:
        remedy = "restore what the decision function asks: docs/decisions/0017-access-control.md"
        raise GovernanceError(path, "document", f"not usable: {error}", remedy) from error
    requests = [request("nobody", action, "Dataset", "cmdb/owners", "none") for action in DATASET_ACTIONS]
    requests += [request("nobody", action, "Column", "cmdb/owners.name", "none") for action in COLUMN_ACTIONS]
    answers = cedarpy.is_authorized_batch(requests, "", entities, schema)
    for asked, answer in zip(requests, answers, strict=True):
        if answer.diagnostics.errors:
            action = asked["action"]["id"]
            problem = f"it does not allow for what is asked: {answer.diagnostics.errors[0]}"
            raise GovernanceError(path, f"action {action}", problem, "restore the action, its resource and its context")
    return text


def request(principal: str, action: str, resource_type: str, resource: str, purpose: str) -> dict[str, Any]:
    """One question to Cedar."""
    return {
        "principal": {"type": "Principal", "id": principal},
        "action": {"type": "Action", "id": action},
        "resource": {"type": resource_type, "id": resource},
        "context": json.dumps({"purpose": purpose}),
    }


def principal_entity(
    name: str, roles: Collection[str], clearance: int, systems: Collection[str], support_groups: Collection[str]
) -> dict[str, Any]:
    """A principal as Cedar's JSON has it."""
    return {
        "uid": {"type": "Principal", "id": name},
        "attrs": {"clearance": clearance, "systems": sorted(systems), "support_groups": sorted(support_groups)},
        "parents": [{"type": "Role", "id": role} for role in sorted(roles)],
    }


def dataset_entities(dataset: str, grades: Mapping[str, int]) -> list[dict[str, Any]]:
    """A dataset and its columns, with their grades, as Cedar's JSON has them."""
    folder, _, name = dataset.partition("/")
    return [
        {"uid": {"type": "Folder", "id": folder}, "attrs": {}, "parents": []},
        {
            "uid": {"type": "Dataset", "id": dataset},
            "attrs": {"folder": folder, "name": name},
            "parents": [{"type": "Folder", "id": folder}],
        },
        *(
            {
                "uid": {"type": "Column", "id": f"{dataset}.{column}"},
                "attrs": {"name": column, "grade": grade},
                "parents": [{"type": "Dataset", "id": dataset}],
            }
            for column, grade in grades.items()
        ),
    ]


_SAMPLE = [principal_entity("nobody", (), 1, (), ()), *dataset_entities("cmdb/owners", {"name": 4})]


def _read_policies(path: Path, schema: str) -> list[_Policy]:
    import cedarpy

    text = read_text(path)
    try:
        document = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        raise GovernanceError(path, "document", f"not valid Cedar: {error}", "correct the policy") from error
    if document.get("templates") or document.get("templateLinks"):
        remedy = "write ?principal and ?resource out"
        raise GovernanceError(path, "document", "a template permits and forbids nothing", remedy)
    names = {}
    for key, entry in document["staticPolicies"].items():
        names[key] = str((entry.get("annotations") or {}).get("id") or "")
        if not names[key]:
            problem = f"the {int(key.removeprefix('policy')) + 1}. policy has no name"
            raise GovernanceError(path, "document", problem, 'put @id("…") in front of it; it is what people are shown')
    result = cedarpy.validate_policies(text, schema)
    for fault in result.errors:
        remedy = f"correct it; what there is to decide by is in {Path(SCHEMA_DOCUMENT).name}"
        raise GovernanceError(path, names.get(fault.policy_id, "document"), fault.error, remedy)
    return [_policy(names[key], entry) for key, entry in document["staticPolicies"].items()]


def _policy(name: str, entry: dict[str, Any]) -> _Policy:
    scope = {part: entry[part] for part in ("principal", "action", "resource")}
    return _Policy(
        name=name,
        effect=entry["effect"],
        scope=json.dumps(scope, sort_keys=True),
        conditions=json.dumps(entry.get("conditions") or [], sort_keys=True),
        entities=sorted(set(_entities_in(entry))),
    )


def _entities_in(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for part in node:
            yield from _entities_in(part)
    elif isinstance(node, dict):
        if set(node) == {"type", "id"}:
            yield str(node["type"]), str(node["id"])
        for part in node.values():
            yield from _entities_in(part)


def _refuse_unknown_entities(path: Path, policy: _Policy, known: Known) -> None:
    there = known.entities
    for kind, name in policy.entities:
        if kind in there and name not in there[kind]:
            remedy = "correct its name, or remove the policy with what it was about"
            raise GovernanceError(path, policy.name, f"there is no {kind.lower()} {name!r}", remedy)


def _refuse_contradiction(path: Path, policy: _Policy, others: Mapping[str, tuple[Path, _Policy]]) -> None:
    """A permit that a forbid of the same scope takes back entirely: one of the two is not meant."""
    for name, (_, other) in others.items():
        if policy.scope != other.scope or policy.effect == other.effect:
            continue
        forbid = policy if policy.effect == "forbid" else other
        if forbid.conditions == "[]" or policy.conditions == other.conditions:
            problem = f"it contradicts {name!r}: what the one permits the other forbids, so that nobody may"
            raise GovernanceError(path, policy.name, problem, "remove one of the two")
