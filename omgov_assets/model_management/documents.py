"""Reading control information: YAML and JSON documents into typed models, with errors that say file, key and remedy.

Does not belong here: what a particular document means.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from omgov_assets.model_management.errors import GovernanceError

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> Any:
    """A YAML document, loaded safely. Raises ``GovernanceError`` where it is missing or malformed."""
    try:
        return yaml.load(_read_text(path), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        key = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "document"
        raise GovernanceError(path, key, f"not valid YAML: {error.problem}", "correct the line") from error
    except yaml.YAMLError as error:
        raise GovernanceError(path, "document", f"not valid YAML: {error}", "correct the document") from error


def read_json(path: Path) -> Any:
    """A JSON document. Raises ``GovernanceError`` where it is missing or malformed."""
    try:
        return json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        key = f"line {error.lineno}, column {error.colno}"
        raise GovernanceError(path, key, f"not valid JSON: {error.msg}", "correct the line") from error


def parse(model: type[Model], document: Any, path: Path, key: str = "") -> Model:
    """Validate a part of a document; the first error becomes a ``GovernanceError`` that names its key."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = key
        for part in first["loc"]:
            where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
        given = first.get("input")
        problem = first["msg"] if isinstance(given, dict | list) else f"{first['msg']} (given: {given!r})"
        raise GovernanceError(path, where or "document", problem, "correct the value of this key") from error


def content_hash(*parts: str) -> str:
    """Short stable hash of texts, for versions of control information."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8"))
        digest.update(b"\x1f")
    return digest.hexdigest()[:16]


class _UniqueKeyLoader(yaml.CSafeLoader):
    """The safe loader, but a key that stands twice is an error instead of the last one winning unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    problem=f"key {key_node.value!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key_node.value if isinstance(key_node.value, str) else id(key_node))
        return super().construct_mapping(node, deep)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise GovernanceError(path, "document", "file is missing", "create it; the README shows its shape") from error
    except UnicodeDecodeError as error:
        raise GovernanceError(
            path, f"byte {error.start}", "not valid UTF-8", "save the file in UTF-8"
        ) from error
