"""Writing rules into a system's metric mappings, without touching what people wrote there.

The file is edited as text: comments, order and spelling stay. The new text is read back before it takes the place of
the old one: it must hold exactly the old rules and the new ones, and be valid as a whole.

Does not belong here: which rules to write (`mapping_suggestions.py`).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from omgov_assets.model_management.documents import parse_yaml, read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.metric_mappings import MappingRules, load_metric_mappings
from omgov_assets.model_management.name_patterns import WILDCARDS, escaped
from omgov_assets.model_management.units import UnitTable

_HEADER = "# First match wins; what no line matches is unmapped and reported.\nmappings:\n"


class DeadRuleError(ValueError):
    """A rule that would decide nothing, because a rule before it takes the metric already."""


def append_rules(
    path: Path, rules: Mapping[str, str], metric_names: Collection[str], units: UnitTable | None = None
) -> None:
    """Append rules that map source metrics, each by its exact name, to standard metrics.

    Args:
        path: `metric_mappings.yaml` of a system; made where it is missing.
        rules: source metric to standard metric.
        metric_names: names of the standard metrics.
        units: as in ``load_metric_mappings``.

    Raises:
        DeadRuleError: a rule of the file takes one of the source metrics already.
        GovernanceError: the file, or what it would become, is not valid; it is left as it was.
    """
    if not rules:
        return
    text = _HEADER
    if path.is_file():
        existing = MappingRules(load_metric_mappings(path, metric_names, units), metric_names)
        for name in rules:
            if taking := existing.taking(name):
                first = existing.mappings[taking[0]]
                raise DeadRuleError(
                    f"{path}: rule {taking[0] + 1}, {first.pattern!r} → {first.metric}, takes {name!r} already; "
                    "change that rule, or write the new one before it by hand"
                )
        text = path.read_bytes().decode("utf-8")
    items = [_item(name, metric) for name, metric in rules.items()]
    changed = _with_items(text, items)
    wanted = [*((parse_yaml(text, path) or {}).get("mappings") or []), *(_read(item) for item in items)]
    _replace(path, changed, wanted, metric_names, units)


def _item(name: str, metric: str) -> str:
    """One rule on one line."""
    key, pattern = ("regex", escaped(name)) if WILDCARDS.search(name) else ("match", name)
    # A dotted lower-case name needs no quotes.
    return f"{{{key}: {_quoted(pattern)}, metric: {metric}}}"


def _quoted(text: str) -> str:
    """The text as a YAML string in double quotes."""
    escapes = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(escapes.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text) + '"'


def _read(item: str) -> Any:
    return yaml.safe_load(item)


def _with_items(text: str, items: Sequence[str]) -> str:
    """The text with items at the end of its list `mappings`."""
    newline = "\r\n" if "\r\n" in text else "\n"
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    listed = next((value for key, value in pairs if key.value == "mappings"), None)
    if not isinstance(listed, yaml.SequenceNode):
        # A file that has just been begun: the key is the last line.
        return text + newline.join(f"  - {item}" for item in items) + newline
    start, end = listed.start_mark, listed.end_mark
    if listed.flow_style and listed.value:
        before = text[: end.index - 1].rstrip()
        return f"{before}, {', '.join(items)}{text[end.index - 1 :]}"
    if listed.flow_style:
        lines = "".join(f"{newline}  - {item}" for item in items)
        return f"{text[: start.index].rstrip()}{lines}{text[end.index :]}"
    indent = " " * start.column
    lines = "".join(f"{indent}- {item}{newline}" for item in items)
    # Behind the line on which the last item ends; what follows it, comments too, stays behind the new ones.
    line_end = text.find("\n", _end(listed.value[-1]))
    if line_end < 0:
        return f"{text}{newline}{lines}"
    return text[: line_end + 1] + lines + text[line_end + 1 :]


def _end(node: yaml.Node) -> int:
    """Index behind the last character of a node; a block's own mark stands where the next token begins."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _end(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _replace(
    path: Path, text: str, wanted: Sequence[Any], metric_names: Collection[str], units: UnitTable | None
) -> None:
    """Put the text in the file's place at once, if it says what is wanted and nothing else."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".metric_mappings-", suffix=".yaml")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        try:
            if read_yaml(draft).get("mappings") != list(wanted):
                raise GovernanceError(
                    path,
                    "mappings",
                    "the file is written in a way that rules cannot be appended to",
                    "add them by hand",
                )
            load_metric_mappings(draft, metric_names, units)
        except GovernanceError as error:
            raise GovernanceError(path, error.key, error.problem, error.remedy) from error
        draft.chmod(path.stat().st_mode if path.is_file() else 0o644)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
