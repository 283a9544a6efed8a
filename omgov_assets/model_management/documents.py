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

_GREATEST_DEPTH = 200
_HARMLESS_DEPTH = 5_000


def read_yaml(path: Path) -> Any:
    """A YAML document, loaded safely.

    Raises:
        GovernanceError: the file is missing or malformed, or a key stands twice in one mapping.
    """
    return parse_yaml(read_text(path), path)


def parse_yaml(text: str, path: Path, first_line: int = 1) -> Any:
    """YAML text of a file, or of a part of it that begins in ``first_line``. Raises ``GovernanceError``.

    A process parses a text once; each caller is given a document of its own.
    """
    if text not in _parsed:
        document = _parse(text, path, first_line)
        if len(_parsed) >= _MOST_PARSED:
            _parsed.clear()
        _parsed[text] = document
    return _copy_of(_parsed[text], {})


# Documents by their text: sound ones, which nobody changes.
_parsed: dict[str, Any] = {}
_MOST_PARSED = 1_000


def _copy_of(document: Any, copied: dict[int, Any]) -> Any:
    """A document with mappings and lists of its own; what is one thing in several places stays one, as by an alias."""
    if not isinstance(document, dict | list):
        return document
    if id(document) not in copied:
        # Entered before it is filled: a document may hold itself.
        if isinstance(document, dict):
            mapping: dict[Any, Any] = {}
            copied[id(document)] = mapping
            mapping.update((key, _copy_of(value, copied)) for key, value in document.items())
        else:
            entries: list[Any] = []
            copied[id(document)] = entries
            entries.extend(_copy_of(value, copied) for value in document)
    return copied[id(document)]


def _parse(text: str, path: Path, first_line: int) -> Any:
    _refuse_deep_nesting(text, path)
    loader = yaml.CSafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_duplicate_keys(node, path, first_line)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        key = f"line {mark.line + first_line}, column {mark.column + 1}" if mark else "document"
        raise GovernanceError(path, key, f"not valid YAML: {error.problem}", "correct the line") from error
    except yaml.YAMLError as error:
        raise GovernanceError(path, "document", f"not valid YAML: {error}", "correct the document") from error
    finally:
        loader.dispose()


def read_json(path: Path) -> Any:
    """A JSON document.

    Raises:
        GovernanceError: the file is missing or malformed, or a key stands twice in one object.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise GovernanceError(path, twice, f"stands twice in one object: {', '.join(names)}", "keep one of the two")
        return found

    try:
        return json.loads(read_text(path), object_pairs_hook=unique)
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
        problem, remedy = _fault(first)
        raise GovernanceError(path, where or "document", problem, remedy) from error


def content_hash(*parts: str) -> str:
    """Short stable hash of texts, for versions of control information."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8"))
        digest.update(b"\x1f")
    return digest.hexdigest()[:16]


def _refuse_deep_nesting(text: str, path: Path) -> None:
    """The composer recurses in C: some ten thousand levels would take the process down rather than raise."""
    if sum(map(text.count, ("[", "{", "- ", ":"))) < _HARMLESS_DEPTH:
        return
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > _GREATEST_DEPTH:
                    mark = event.start_mark
                    line = mark.line + 1 if mark else 1
                    problem = f"nested more than {_GREATEST_DEPTH} levels deep"
                    raise GovernanceError(path, f"line {line}", problem, "no governance file needs that; correct it")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError:
        return  # said with its line where the document is loaded


def _fault(error: Any) -> tuple[str, str]:
    """What is wrong by a validation error, and what to do about it."""
    match error["type"]:
        case "missing":
            return "the key is required", "add it"
        case "extra_forbidden":
            return "the key is not known and not permitted", "correct its spelling or remove it"
    given = error.get("input")
    problem = error["msg"] if isinstance(given, dict | list) else f"{error['msg']} (given: {given!r})"
    return problem, "correct the value of this key"


def _refuse_duplicate_keys(root: yaml.Node, path: Path, first_line: int) -> None:
    """YAML lets the last of two equal keys win unseen; here that would change what the firm decided."""
    pending: list[tuple[str, yaml.Node]] = [("", root)]
    visited: set[int] = set()
    while pending:
        where, node = pending.pop()
        if id(node) in visited:  # an alias: the same node once more
            continue
        visited.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            pending += [(f"{where}[{index}]", item) for index, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            lines: dict[tuple[str, str], int] = {}
            for key_node, value_node in node.value:
                key = f"{where}.{key_node.value}" if where else str(key_node.value)
                line = key_node.start_mark.line + first_line
                identity = (key_node.tag, str(key_node.value))
                if identity in lines:
                    raise GovernanceError(
                        path, key, f"stands in line {lines[identity]} and in line {line}", "keep one of the two"
                    )
                lines[identity] = line
                pending.append((key, value_node))


def read_text(path: Path) -> str:
    """Text of a file in UTF-8. Raises ``GovernanceError`` where it is missing or of another encoding."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise GovernanceError(path, "document", "file is missing", "create it; the README shows its shape") from error
    except UnicodeDecodeError as error:
        raise GovernanceError(path, f"byte {error.start}", "not valid UTF-8", "save the file in UTF-8") from error
