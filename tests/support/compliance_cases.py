"""Compliance rules of the small firm, written clause by clause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from small_firm import SmallFirm

ACCESS: dict[str, Any] = {
    "purposes": ["quality", "audit"],
    "roles": {
        "steward": {"brief": "Looks after data", "clearance": 2},
        "engineer": {"brief": "Repairs deliveries", "clearance": 3},
    },
    "masks": {"cmdb/owners.phone": "hmac"},
}
READS_ALL = '@id("all-read") permit (principal, action, resource);\n'


def clause(check: str, /, identifier: str = "one", **changes: Any) -> dict[str, Any]:
    """A sound clause as YAML holds it; a change to None takes a key out."""
    made: dict[str, Any] = {
        "id": identifier,
        "title": {"en": "A clause", "zh": "条款"},
        "requirement": {"en": "Something is asked for."},
        "source": {
            "name": {"en": "A law", "zh": "某法"},
            "number": {"en": "No. 1"},
            "article": "7",
            "issuer": {"en": "An authority"},
            "url": "https://law.example.com/1",
        },
        "verified": False,
        "check": check,
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def write_clauses(project: Path, *clauses: dict[str, Any], name: str = "rules") -> Path:
    """Write ``governance/compliance/<name>.yaml`` of a project."""
    path = project / "governance" / "compliance" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"clauses": list(clauses)}, allow_unicode=True), encoding="utf-8")
    return path


def write_access(firm: SmallFirm, repository: Path, policies: str = READS_ALL, **changes: Any) -> None:
    """Write access rules of the small firm, and Cedar policies that go with them."""
    folder = firm.settings.governance / "access"
    folder.mkdir(parents=True, exist_ok=True)
    schema = repository / "governance" / "access" / "schema.cedarschema"
    (folder / "schema.cedarschema").write_bytes(schema.read_bytes())
    (folder / "access.yaml").write_text(yaml.safe_dump(ACCESS | changes), encoding="utf-8")
    (folder / "all.cedar").write_text(policies, encoding="utf-8")
