"""Metrics of OpenTelemetry's semantic conventions, from the YAML files of their ``model/``, unchanged.

Belongs here: the two shapes in which that model states a metric (a group of type ``metric``; an item of ``metrics`` in
a file of format ``definition/…``). Does not belong here: attributes, entities and refinements, which define no metric.

The conventions say name, brief, unit, instrument, stability, deprecation and, in annotations for code generators, the
value type; they say no display name, interval or range.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from omgov_assets.data_management.catalogues.entries import CatalogueEntry, CatalogueFile, Finding
from omgov_assets.data_management.catalogues.texts import quoted
from omgov_assets.data_management.catalogues.yaml_nodes import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    yaml_documents_of,
)

_INSTRUMENTS = frozenset({"gauge", "counter", "updowncounter", "histogram"})
_VALUE_TYPES = frozenset({"int", "double"})
# How the model said it before deprecations became mappings: nothing but the sentence that names one metric.
_REPLACED_BY = re.compile(r"(?:Deprecated[,.;:]? )?[Rr]eplaced by `([^`\s]+)`\.?")


class OpenTelemetryReader:
    """Reads the YAML files of the semantic conventions' model."""

    def wants(self, name: str) -> bool:
        """Every YAML file outside hidden folders: metrics stand in files of any name."""
        path = PurePosixPath(name)
        return path.suffix in {".yaml", ".yml"} and not any(part.startswith(".") for part in path.parts)

    def read(self, file: CatalogueFile) -> Iterator[CatalogueEntry | Finding]:
        """Entries and findings in the order of their lines."""
        documents = yaml_documents_of(file)
        if isinstance(documents, Finding):
            yield documents
            return
        for document in documents:
            yield from _document(document, file.name)


READER = OpenTelemetryReader()


def _document(root: Node, file: str) -> Iterator[CatalogueEntry | Finding]:
    if isinstance(root, Scalar) and root.is_null:
        return
    if not isinstance(root, Mapping):
        yield _malformed(file, root.line, None, "the document is no mapping with groups or metrics", refused=True)
        return
    for item in _items(root, "groups", file):
        if isinstance(item, Finding):
            yield item
        elif _text(item, "type") == "metric" or ("type" not in item.values and "metric_name" in item.values):
            yield from _metric(item, "metric_name", file)
    if (_text(root, "file_format") or "").startswith("definition/"):
        for item in _items(root, "metrics", file):
            if isinstance(item, Finding):
                yield item
            else:
                yield from _metric(item, "name", file)


def _items(root: Mapping, key: str, file: str) -> Iterator[Mapping | Finding]:
    """The mappings in a list; findings for whatever else stands there."""
    found = root.get(key)
    if found is None:
        return
    if not isinstance(found, Sequence):
        yield _malformed(file, found.line, None, f"{key} is no list", refused=True)
        return
    for item in found.items:
        if isinstance(item, Mapping):
            yield item
        else:
            yield _malformed(file, item.line, None, f"an item of {key} is no mapping", refused=True)


def _metric(node: Mapping, name_key: str, file: str) -> Iterator[CatalogueEntry | Finding]:
    name = node.get(name_key)
    if name is None or (isinstance(name, Scalar) and not name.text.strip()):
        yield Finding("name_missing", file, node.line, None, f"a metric without {name_key}", refused=True)
        return
    if not isinstance(name, Scalar) or not name.is_text:
        given = quoted(name.text) if isinstance(name, Scalar) else "a list or mapping"
        yield _malformed(file, name.line, None, f"{name_key} is {given}, not text; put it in quotes", refused=True)
        return
    metric = name.text.strip()
    if node.repeated:
        yield _malformed(file, node.line, metric, f"{quoted(node.repeated[0])} stands twice; the last one counts")
    for key in ("brief", "note", "unit", "instrument", "stability"):
        value = node.get(key)
        if value is not None and not isinstance(value, Scalar):
            yield _malformed(file, value.line, metric, f"{key} is no text; it was not read")
    instrument, value_type = _text(node, "instrument"), _value_type(node)
    for what, stated, known in (("instrument", instrument, _INSTRUMENTS), ("value type", value_type, _VALUE_TYPES)):
        if stated is not None and stated not in known:
            detail = f"{what} {quoted(stated)} is none of {', '.join(sorted(known))}"
            yield Finding("type_unknown", file, node.line, metric, detail)
    deprecated, renamed_to, problem = _deprecation(node.get("deprecated"))
    if problem:
        yield _malformed(file, node.line, metric, problem)
    yield CatalogueEntry(
        file=file,
        line=node.line,
        source_metric=metric,
        description=_text(node, "brief") or _text(node, "note"),
        source_unit=_text(node, "unit"),
        instrument=instrument if instrument in _INSTRUMENTS else None,
        value_type=value_type if value_type in _VALUE_TYPES else None,
        status="deprecated" if deprecated or _text(node, "stability") == "deprecated" else "active",
        renamed_to=renamed_to,
    )


def _value_type(node: Mapping) -> str | None:
    annotations = node.get("annotations")
    generation = annotations.get("code_generation") if isinstance(annotations, Mapping) else None
    stated = _text(generation, "metric_value_type") if isinstance(generation, Mapping) else None
    return stated or _text(node, "value_type")


def _deprecation(node: Node | None) -> tuple[bool, str | None, str | None]:
    """Whether the metric is deprecated, by which one it is replaced, and what is wrong with how the file says so."""
    if node is None:
        return False, None, None
    if isinstance(node, Sequence):
        return True, None, "deprecated is a list; write a mapping with a reason"
    if isinstance(node, Mapping):
        renamed_to = _text(node, "renamed_to")
        if _text(node, "reason") == "renamed" and renamed_to is None:
            return True, None, "deprecated because renamed, but renamed_to is missing"
        return True, renamed_to, None
    if not node.is_text:
        given = node.text.lower() not in {"false", "no", "off"}
        return given, None, f"deprecated is {quoted(node.text)}, which gives no reason"
    replaced = _REPLACED_BY.fullmatch(node.text.strip())
    return True, replaced[1] if replaced else None, None


def _text(node: Mapping, key: str) -> str | None:
    """The text of a key, None where it is absent, blank or no single value."""
    value = node.get(key)
    return (value.text.strip() or None) if isinstance(value, Scalar) else None


def _malformed(file: str, line: int, metric: str | None, detail: str, *, refused: bool = False) -> Finding:
    return Finding("malformed_record", file, line, metric, detail, refused=refused)
