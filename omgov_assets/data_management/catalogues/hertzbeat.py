"""Metrics of Apache HertzBeat, from its monitoring templates ``define/app-*.yml``, unchanged.

Belongs here: app → metric sets → fields. Does not belong here: parameters, protocols and collection of a template.

A field is the metric ``<app>.<metric set>.<field>``. Its type is a number: 0 is numeric, 1 text (also where none is
stated: HertzBeat's default), 2 a secret, 3 a point in time; all but 0 are left out. Names stand in several languages:
the Chinese and the English one are taken, where both exist and differ as ``中文 / English``. HertzBeat says neither
instrument, value type nor description. ``units`` (``used=B->MB``) says to which unit a field is converted before it is
shown, which must be the one that the field states.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
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

_FILE = re.compile(r"app-.*\.ya?ml")
_NUMBER = "0"
_NOT_NUMERIC = {"1": "text", "2": "a secret", "3": "a point in time"}
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z]{2,4})*")
# HertzBeat spells the units of conversions in capitals; of time, that changes no meaning.
_TIMES_IN_CAPITALS = frozenset({"NS", "US", "MS", "S", "MIN", "H", "D"})


class HertzBeatReader:
    """Reads HertzBeat's monitoring templates."""

    def wants(self, name: str) -> bool:
        """Files named ``app-<app>.yml``, in any folder."""
        return _FILE.fullmatch(PurePosixPath(name).name) is not None

    def read(self, file: CatalogueFile) -> Iterator[CatalogueEntry | Finding]:
        """Entries and findings in the order of their lines."""
        documents = yaml_documents_of(file)
        if isinstance(documents, Finding):
            yield documents
            return
        for document in documents:
            yield from _App(file.name).read(document)


READER = HertzBeatReader()


@dataclass(frozen=True)
class _App:
    """One template."""

    file: str

    def read(self, root: Node) -> Iterator[CatalogueEntry | Finding]:
        app = root.get("app") if isinstance(root, Mapping) else None
        if not isinstance(root, Mapping) or not isinstance(app, Scalar) or not app.text.strip():
            yield self._malformed(root, None, "the template does not say its app", refused=True)
            return
        sets = root.get("metrics")
        if not isinstance(sets, Sequence):
            yield self._malformed(sets or root, None, "the template has no list of metrics", refused=True)
            return
        for metric_set in sets.items:
            yield from self._metric_set(metric_set, app.text.strip())

    def _metric_set(self, node: Node, app: str) -> Iterator[CatalogueEntry | Finding]:
        name = node.get("name") if isinstance(node, Mapping) else None
        if not isinstance(node, Mapping) or not isinstance(name, Scalar) or not name.text.strip():
            yield self._malformed(node, None, "a metric set without a name", refused=True)
            return
        prefix = f"{app}.{name.text.strip()}"
        fields = node.get("fields")
        if not isinstance(fields, Sequence):
            yield self._malformed(
                fields or node, None, f"metric set {quoted(prefix)} has no list of fields", refused=True
            )
            return
        interval_s = _whole_seconds(node.get("interval"))
        if interval_s is None and "interval" in node.values:
            detail = f"interval of metric set {quoted(prefix)} is no number of seconds"
            yield Finding("interval_unreadable", self.file, node.values["interval"].line, None, detail)
        conversions = _conversions(node.get("units"))
        for field in fields.items:
            yield from self._field(field, prefix, interval_s, conversions)

    def _field(
        self, node: Node, prefix: str, interval_s: int | None, conversions: dict[str, str]
    ) -> Iterator[CatalogueEntry | Finding]:
        if not isinstance(node, Mapping):
            yield self._malformed(node, None, f"a field of {quoted(prefix)} is no mapping", refused=True)
            return
        name = node.get("field")
        if not isinstance(name, Scalar) or not name.text.strip():
            detail = f"a field of {quoted(prefix)} without a name"
            yield Finding("name_missing", self.file, node.line, None, detail, refused=True)
            return
        metric = f"{prefix}.{name.text.strip()}"
        if node.repeated:
            yield self._malformed(node, metric, f"{quoted(node.repeated[0])} stands twice; the last one counts")
        refusal = self._refusal(node, metric)
        if refusal is not None:
            yield refusal
            return
        unit_node = node.get("unit")
        if unit_node is not None and not isinstance(unit_node, Scalar):
            yield self._malformed(unit_node, metric, "unit is no text; it was not read")
        unit = (unit_node.text.strip() or None) if isinstance(unit_node, Scalar) else None
        yield from self._doubts(node, metric, unit, conversions.get(name.text.strip()))
        yield CatalogueEntry(
            file=self.file,
            line=node.line,
            source_metric=metric,
            display_name=_display_name(node.get("i18n")),
            source_unit=unit,
            interval_s=interval_s,
        )

    def _refusal(self, node: Mapping, metric: str) -> Finding | None:
        """Why a field is no metric; None where it is one."""
        stated = node.get("type")
        if stated is None:
            detail = "no type is stated, and HertzBeat then keeps text"
            return Finding("not_numeric", self.file, node.line, metric, detail, refused=True)
        if isinstance(stated, Scalar) and stated.text == _NUMBER:
            return None
        if isinstance(stated, Scalar) and stated.text in _NOT_NUMERIC:
            detail = f"type {stated.text} is {_NOT_NUMERIC[stated.text]}"
            return Finding("not_numeric", self.file, node.line, metric, detail, refused=True)
        given = quoted(stated.text) if isinstance(stated, Scalar) else "a list or mapping"
        return Finding("type_unknown", self.file, stated.line, metric, f"type is {given}, not 0 to 3", refused=True)

    def _doubts(self, node: Mapping, metric: str, unit: str | None, converted_to: str | None) -> Iterator[Finding]:
        if unit is not None and converted_to is not None and not _same_unit(unit, converted_to):
            detail = f"the field says {quoted(unit)}, its metric set converts it to {quoted(converted_to)}"
            yield Finding("unit_conflict", self.file, node.line, metric, detail)
        label = node.get("label")
        if isinstance(label, Scalar) and label.text.lower() == "true":
            yield self._malformed(node, metric, "a number and a label at once: HertzBeat keeps it as a label only")
        names = node.get("i18n")
        if names is not None and not isinstance(names, Mapping):
            yield self._malformed(names, metric, "i18n is no mapping of languages to names")
        for key in names.values if isinstance(names, Mapping) else ():
            if not _LANGUAGE.fullmatch(key) or key in {"unit", "type", "label"}:
                yield self._malformed(names, metric, f"i18n holds {quoted(key)}, which is no language")

    def _malformed(self, node: Node | None, metric: str | None, detail: str, *, refused: bool = False) -> Finding:
        line = node.line if node is not None else 0
        return Finding("malformed_record", self.file, line, metric, detail, refused=refused)


def _conversions(node: Node | None) -> dict[str, str]:
    """Unit to which each field is converted, from items such as ``used=B->MB``; others mean nothing to HertzBeat."""
    found: dict[str, str] = {}
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Scalar):
            field, equals, rule = item.text.partition("=")
            _, arrow, target = rule.partition("->")
            if equals and arrow and target.strip():
                found[field.strip()] = target.strip()
    return found


def _same_unit(unit: str, converted_to: str) -> bool:
    return unit == converted_to or (converted_to in _TIMES_IN_CAPITALS and unit.upper() == converted_to)


def _display_name(names: Node | None) -> str | None:
    if not isinstance(names, Mapping):
        return None
    found: list[str] = []
    for language in ("zh-CN", "en-US"):
        name = names.get(language)
        if isinstance(name, Scalar) and name.text.strip() and name.text.strip() not in found:
            found.append(name.text.strip())
    return " / ".join(found) or None


def _whole_seconds(node: Node | None) -> int | None:
    """A positive number of seconds below a year."""
    if not isinstance(node, Scalar) or not re.fullmatch(r"[0-9]{1,8}", node.text):
        return None
    return int(node.text) or None
