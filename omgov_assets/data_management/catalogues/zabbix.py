"""Zabbix: exported templates in XML (4.0 and later) and YAML (5.4 and later).

A metric is an item or an item prototype of a template, named ``<template>/<key>``; a discovery rule itself measures
nothing. What an export leaves out from 4.4 on has the default of the format: type Zabbix agent, value type unsigned,
update interval one minute. Zabbix does not say whether a value is a gauge or a counter.

Units are kept as they are spelled, also the leading ``!`` by which Zabbix is told not to scale a value; a ``!`` alone
is no unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from omgov_assets.data_management.catalogues.entries import (
    CatalogueEntry,
    CatalogueFile,
    CatalogueReader,
    Finding,
    shown,
)
from omgov_assets.data_management.catalogues.texts import decoded
from omgov_assets.data_management.catalogues.yaml_nodes import (
    Mapping,
    Scalar,
    Sequence,
    UnreadableYamlError,
    yaml_documents,
)

VALUE_TYPES = {"FLOAT": "double", "0": "double", "UNSIGNED": "int", "3": "int"}
NOT_NUMERIC = {
    "CHAR": "characters",
    "1": "characters",
    "LOG": "a log",
    "2": "a log",
    "TEXT": "text",
    "4": "text",
    "BINARY": "binary data",
    "5": "binary data",
}
# Zabbix waits for these: trapper, SNMP trap, dependent item.
NOT_POLLED = frozenset({"TRAP", "2", "SNMP_TRAP", "17", "DEPENDENT", "18"})
DEFAULTS_SINCE = (4, 4)
DEFAULT_INTERVAL_S = 60

_INTERVAL = re.compile(r"(?P<number>[0-9]{1,9})(?P<suffix>[smhdw]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
FIELDS = ("name", "key", "type", "delay", "value_type", "units", "description")


@dataclass(slots=True)
class _Item:
    """An item or item prototype as exported: its texts by tag."""

    line: int
    texts: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Template:
    line: int
    name: str | None = None
    items: list[_Item] = field(default_factory=list)


@dataclass(slots=True)
class _Export:
    """What an export says, whichever its syntax."""

    version: tuple[int, ...] = ()
    templates: list[_Template] = field(default_factory=list)
    # Things that are not what the format has in their place: line and sentence.
    misplaced: list[tuple[int, str]] = field(default_factory=list)


class _UnusableExportError(ValueError):
    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


class _Zabbix:
    """Reader of template exports."""

    def wants(self, name: str) -> bool:
        """Whether a file of this relative path states metric definitions."""
        return name.lower().endswith((".xml", ".yaml", ".yml"))

    def read(self, file: CatalogueFile) -> Iterator[CatalogueEntry | Finding]:
        """Entries and findings of a file, in the order of its lines within a template."""
        try:
            if file.content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
                export = _read_xml(file.content)
            else:
                text = decoded(file)
                if isinstance(text, Finding):
                    yield text
                    return
                export = _read_yaml(text)
        except (UnreadableYamlError, _UnusableExportError) as error:
            yield Finding("unparsable_file", file.name, error.line, None, shown(str(error)), refused=True)
            return
        for line, problem in export.misplaced:
            yield Finding("malformed_record", file.name, line, None, problem, refused=True)
        for template in export.templates:
            yield from _definitions(file.name, export, template)


READER: CatalogueReader = _Zabbix()


def _definitions(file: str, export: _Export, template: _Template) -> Iterator[CatalogueEntry | Finding]:
    if not template.name or not template.name.strip():
        detail = f"a template without a name: its {len(template.items):,} items were left out"
        yield Finding("name_missing", file, template.line, None, detail, refused=True)
        return
    has_defaults = export.version >= DEFAULTS_SINCE
    for item in sorted(template.items, key=lambda item: item.line):
        texts = item.texts
        key = texts.get("key", "")
        if not key.strip():
            detail = f"an item without a key in template '{shown(template.name)}'"
            yield Finding("name_missing", file, item.line, None, detail, refused=True)
            continue
        name = f"{template.name}/{key}"
        given_type = texts.get("value_type", "").strip() or ("UNSIGNED" if has_defaults else "")
        if given_type in NOT_NUMERIC:
            yield Finding("not_numeric", file, item.line, shown(name), f"holds {NOT_NUMERIC[given_type]}", refused=True)
            continue
        delay = texts.get("delay", "").strip()
        polled = texts.get("type", "").strip() not in NOT_POLLED
        interval = _interval(delay, DEFAULT_INTERVAL_S if has_defaults and polled else None)
        unit = texts.get("units", "")
        yield CatalogueEntry(
            file=file,
            line=item.line,
            source_metric=name,
            display_name=texts.get("name", "").strip() or None,
            description=texts.get("description", "").strip() or None,
            source_unit=unit if unit.strip() not in ("", "!") else None,
            value_type=VALUE_TYPES.get(given_type),
            interval_s=interval,
        )
        if given_type and given_type not in VALUE_TYPES:
            yield Finding("type_unknown", file, item.line, shown(name), f"value_type is '{shown(given_type)}'")
        if interval is None and delay.strip("0") not in ("", "s"):
            yield Finding("interval_unreadable", file, item.line, shown(name), f"delay is '{shown(delay)}'")


def _interval(delay: str, default: int | None) -> int | None:
    """Seconds of an update interval; None for a macro, for one that changes by schedule, and for 0 (not polled)."""
    if not delay:
        return default
    found = _INTERVAL.fullmatch(delay)
    return (int(found["number"]) * _SECONDS[found["suffix"]] or None) if found else None


def _version(text: str | None) -> tuple[int, ...]:
    found = re.match(r"([0-9]{1,4})\.([0-9]{1,4})", (text or "").strip())
    return (int(found[1]), int(found[2])) if found else ()


# --- YAML ------------------------------------------------------------------------------------------------------------


def _read_yaml(text: str) -> _Export:
    documents = yaml_documents(text)
    root = documents[0] if documents else None
    body = root.get("zabbix_export") if isinstance(root, Mapping) else None
    if not isinstance(body, Mapping):
        raise _UnusableExportError(1, "no Zabbix export: zabbix_export is missing")
    export = _Export(_version(_text(body, "version")))
    for node in _mappings(body, "templates", export):
        template = _Template(node.line, _text(node, "template"))
        template.items += _yaml_items(node, "items", export)
        _add_prototypes(node, "discovery_rules", template, export)
        export.templates.append(template)
    return export


def _add_prototypes(parent: Mapping, key: str, template: _Template, export: _Export) -> None:
    for rule in _mappings(parent, key, export):
        template.items += _yaml_items(rule, "item_prototypes", export)
        # Since 7.4 a discovery rule may discover further rules; the depth of a document is limited.
        _add_prototypes(rule, "discovery_prototypes", template, export)


def _yaml_items(parent: Mapping, key: str, export: _Export) -> Iterator[_Item]:
    for node in _mappings(parent, key, export):
        item = _Item(node.line)
        for name in FIELDS:
            value = node.get(name)
            if isinstance(value, Scalar):
                item.texts[name] = value.text
            elif value is not None:
                export.misplaced.append((value.line, f"{name} of an item is a list or a mapping"))
        yield item


def _mappings(parent: Mapping, key: str, export: _Export) -> list[Mapping]:
    node = parent.get(key)
    if node is None:
        return []
    if not isinstance(node, Sequence):
        export.misplaced.append((node.line, f"{key} is not a list"))
        return []
    found = []
    for item in node.items:
        if isinstance(item, Mapping):
            found.append(item)
        else:
            export.misplaced.append((item.line, f"an entry of {key} is not a mapping"))
    return found


def _text(node: Mapping, key: str) -> str | None:
    value = node.get(key)
    return value.text if isinstance(value, Scalar) else None


# --- XML -------------------------------------------------------------------------------------------------------------


def _read_xml(content: bytes) -> _Export:
    reader = _XmlReader()
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as error:
        problem = f"not valid XML: {expat.ErrorString(error.code)}"
        raise _UnusableExportError(error.lineno, problem) from error
    except (LookupError, ValueError) as error:
        if isinstance(error, _UnusableExportError):
            raise
        raise _UnusableExportError(1, f"not valid XML: {error}") from error
    return reader.export


class _XmlReader:
    """Expat's handlers. Expat keeps no tree and does not recurse; a document type, and with it every entity, is
    refused.
    """

    def __init__(self) -> None:
        self.export = _Export()
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_document_type
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self._path: list[str] = []
        self._template: _Template | None = None
        self._item: _Item | None = None
        self._item_depth = 0
        self._parts: list[str] = []

    def _refuse_document_type(self, *_: object) -> None:
        line = self.parser.CurrentLineNumber
        raise _UnusableExportError(line, "a document type, which no export has, is refused: it may define entities")

    def _start(self, tag: str, _: object) -> None:
        path = self._path
        if not path and tag != "zabbix_export":
            line = self.parser.CurrentLineNumber
            raise _UnusableExportError(line, f"no Zabbix export: the document is '{shown(tag)}'")
        path.append(tag)
        depth = len(path)
        if self._item is not None:
            if depth == self._item_depth + 1 and tag in FIELDS:
                self._collect()
        elif depth == 2:
            if tag == "version":
                self._collect()
        elif depth == 3:
            if tag == "template" and path[1] == "templates":
                self._template = _Template(self.parser.CurrentLineNumber)
                self.export.templates.append(self._template)
        elif self._template is not None:
            self._start_within(self._template, tag, depth)

    def _start_within(self, template: _Template, tag: str, depth: int) -> None:
        if depth == 4:
            if tag == "template":
                self._collect()
        elif _is_item_path(self._path):
            self._item = _Item(self.parser.CurrentLineNumber)
            self._item_depth = depth
            template.items.append(self._item)

    def _end(self, tag: str) -> None:
        depth = len(self._path)
        if self.parser.CharacterDataHandler is not None:
            self._keep(tag, depth)
        if self._item is not None and depth == self._item_depth:
            self._item = None
        elif depth == 3:
            self._template = None
        self._path.pop()

    def _keep(self, tag: str, depth: int) -> None:
        text = "".join(self._parts)
        if self._item is not None:
            if depth != self._item_depth + 1:
                return
            self._item.texts[tag] = text
        elif depth == 4 and self._template is not None:
            self._template.name = text
        elif depth == 2:
            self.export.version = _version(text)
        self.parser.CharacterDataHandler = None

    def _collect(self) -> None:
        self._parts.clear()
        self.parser.CharacterDataHandler = self._parts.append


def _is_item_path(path: list[str]) -> bool:
    """Below a template: ``items/item``, or ``item_prototypes/item_prototype`` of a discovery rule at any depth."""
    if path[-2:] == ["items", "item"]:
        return len(path) == 5
    if path[-2:] != ["item_prototypes", "item_prototype"] or len(path) < 7 or len(path) % 2 == 0:
        return False
    rules = path[3:-2]
    return rules[:2] == ["discovery_rules", "discovery_rule"] and all(
        rules[i : i + 2] == ["discovery_prototypes", "discovery_prototype"] for i in range(2, len(rules), 2)
    )
