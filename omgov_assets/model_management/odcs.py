"""The Open Data Contract Standard's own JSON schema, v3.1, against a document.

The schema is that of the package ``open-data-contract-standard``, which holds little else: pinned rather than copied,
so that it is the publisher's text with the publisher's licence. Compiled, it judges forty contracts in milliseconds,
where an interpreter of schemas takes longer than all the rest of loading. Does not belong here: what omgov asks of a
contract beyond the standard (``contracts``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
from jsonschema_rs import ValidationErrorKind as Kind

from omgov_assets.model_management.errors import GovernanceError

UNKNOWN_KEY = ("the key is not known in ODCS v3.1", "correct its spelling or remove it")

# Far beyond any contract: aliases let a short YAML document unfold without end.
MAX_VALUES = 100_000
MAX_DEPTH = 60
SHOWN_CHARACTERS = 80

_ARTICLES = {"array": "a list", "integer": "an integer", "null": "empty", "object": "a mapping"}


def check_odcs(document: Any, path: Path) -> None:
    """Validate a contract, as read from YAML, against the standard's JSON schema.

    Raises:
        GovernanceError: the document does not meet the schema, or is not what JSON could hold; names the first fault.
    """
    _measure(document, path)
    errors = list(_validator().iter_errors(_as_json(document, "", path)))
    if errors:
        raise _fault(_foremost(errors), path)


@cache
def _validator() -> jsonschema_rs.Validator:
    schema = json.loads((files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))
    return jsonschema_rs.validator_for(schema, offline=True)


def _foremost(errors: Sequence[jsonschema_rs.ValidationError]) -> jsonschema_rs.ValidationError:
    """The fault to name. Where a part has one, the sound keys beside and above it count as unevaluated as well, so
    that such a key is named where there is nothing else, and the deepest of them.
    """

    def rank(error: jsonschema_rs.ValidationError) -> tuple[bool, int]:
        unevaluated = isinstance(error.kind, Kind.UnevaluatedProperties)
        return unevaluated, -len(error.instance_path) if unevaluated else 0

    return min(errors, key=rank)


def _fault(error: jsonschema_rs.ValidationError, path: Path) -> GovernanceError:
    key = _key(error.instance_path)
    remedy = "correct the value of this key"
    match error.kind:
        case Kind.Required(missing):
            return GovernanceError(path, _below(key, missing), "the key is required in ODCS v3.1", "add it")
        case Kind.AdditionalProperties(unexpected) | Kind.UnevaluatedProperties(unexpected):
            return GovernanceError(path, _below(key, unexpected[0]), *UNKNOWN_KEY)
        case Kind.OneOfNotValid(branches) | Kind.AnyOf(branches):
            # The form that was meant is the one in which the fault lies deepest.
            foremost = [_foremost(branch) for branch in branches if branch]
            deepest = max(foremost, key=lambda found: len(found.instance_path), default=None)
            if deepest is not None and len(deepest.instance_path) > len(error.instance_path):
                return _fault(deepest, path)
            problem = "is in none of the forms that ODCS v3.1 has for it"
        case Kind.Type(types):
            problem = f"must be {' or '.join(_ARTICLES.get(name, f'a {name}') for name in types)}"
        case Kind.Enum(options):
            problem = f"must be one of {', '.join(str(option) for option in options)}"
        case _:
            problem = f"does not meet ODCS v3.1: {_cut(error.message)}"
    if not isinstance(error.instance, dict | list):
        problem += f" (given: {_cut(repr(error.instance))})"
    return GovernanceError(path, key or "document", problem, remedy)


def _key(parts: Sequence[str | int]) -> str:
    key = ""
    for part in parts:
        key = f"{key}[{part}]" if isinstance(part, int) else _below(key, part)
    return key


def _below(key: str, name: str) -> str:
    return f"{key}.{_cut(name)}" if key else _cut(name)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _measure(document: Any, path: Path) -> None:
    """Refuse what unfolds beyond all bounds, looking at each aliased part once and counting it wherever it stands."""
    measured: dict[int, tuple[int, int]] = {}
    too_deep = GovernanceError(
        path, "document", f"is nested more than {MAX_DEPTH} levels deep", "write it flat, without an alias to itself"
    )

    def measure(value: Any, depth: int) -> tuple[int, int]:
        """How many values it holds, and how many levels."""
        if not isinstance(value, dict | list):
            return 1, 0
        if id(value) not in measured:
            if depth > MAX_DEPTH:  # an alias to a part that holds it has no end
                raise too_deep
            parts = [measure(part, depth + 1) for part in (value.values() if isinstance(value, dict) else value)]
            measured[id(value)] = (
                1 + sum(count for count, _ in parts),
                1 + max((levels for _, levels in parts), default=0),
            )
        return measured[id(value)]

    values, levels = measure(document, 0)
    if levels > MAX_DEPTH:
        raise too_deep
    if values > MAX_VALUES:
        problem = f"holds more than {MAX_VALUES} values once its aliases are unfolded"
        raise GovernanceError(path, "document", problem, "write what is meant without aliases")


def _as_json(value: Any, key: str, path: Path) -> Any:
    """The value as JSON would hold it: YAML has dates, which JSON writes as texts, and values that JSON has not."""
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise GovernanceError(path, _below(key, str(name)), "the key is not a text", "write it in quotes")
        return {name: _as_json(part, _below(key, name), path) for name, part in value.items()}
    if isinstance(value, list):
        return [_as_json(part, f"{key}[{index}]", path) for index, part in enumerate(value)]
    if isinstance(value, date):
        return value.isoformat()
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    problem = f"is not a value that JSON can hold (given: {_cut(repr(value))})"
    raise GovernanceError(path, key or "document", problem, "write a text or a number")
