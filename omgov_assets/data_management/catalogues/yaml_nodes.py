"""A YAML file as a tree whose nodes know their lines, safe to build from anyone's file.

Belongs here: reading YAML within limits, and asking a node for text. Does not belong here: what a tool means by its
keys.

The tree is built from libyaml's events with a stack of our own, since its composer recurses as deep as the file says.
An alias is a reference to the node that it names, and its full size is charged to the file: a file that would unfold
to more than ``_MOST_NODES`` is refused, so that nobody who walks the tree walks forever. Tags construct nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml

from omgov_assets.data_management.catalogues.entries import CatalogueFile, Finding
from omgov_assets.data_management.catalogues.texts import decoded

_MOST_NODES = 1_000_000
_DEEPEST = 64
# Long texts count for more than one node, so that aliases of one cannot multiply it without end.
_CHARACTERS_PER_NODE = 100
_TEXT_TAG = "tag:yaml.org,2002:str"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(slots=True)
class Scalar:
    """A value as it is spelled; ``is_text`` is false where YAML reads it as a number, a truth value or a date."""

    text: str
    line: int
    is_text: bool
    is_null: bool


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """Values by key; of a key that stands twice (``repeated``), the last counts."""

    line: int
    values: dict[str, Node] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)

    def get(self, key: str) -> Node | None:
        """The value of a key; None where it is absent or null."""
        node = self.values.get(key)
        return None if isinstance(node, Scalar) and node.is_null else node


Node = Scalar | Sequence | Mapping


class UnreadableYamlError(ValueError):
    """The text is not YAML, or beyond the limits."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def yaml_documents_of(file: CatalogueFile) -> list[Node] | Finding:
    """The root nodes of a file's documents, or the finding that it cannot be read."""
    text = decoded(file)
    if isinstance(text, Finding):
        return text
    try:
        return yaml_documents(text)
    except UnreadableYamlError as error:
        return Finding("unparsable_file", file.name, error.line, None, str(error), refused=True)


def yaml_documents(text: str) -> list[Node]:
    """The root nodes of a text's documents, lines counted from 1.

    Raises:
        UnreadableYamlError: malformed, nested too deeply, or larger than the limits once aliases are unfolded.
    """
    try:
        return _Builder().build(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = f"not valid YAML: {error.problem or error.context}"
        raise UnreadableYamlError(mark.line + 1 if mark else 0, problem) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UnreadableYamlError(line, f"not valid YAML: {error.reason}") from error
    except yaml.YAMLError as error:
        raise UnreadableYamlError(0, f"not valid YAML: {error}") from error


@dataclass(slots=True)
class _Open:
    """A collection under construction."""

    node: Sequence | Mapping
    anchor: str | None
    size: int = 1
    key: str | None = None
    has_key: bool = False
    merged: list[Node] = field(default_factory=list)


class _Builder:
    def __init__(self) -> None:
        self._documents: list[Node] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = 0

    def build(self, text: str) -> list[Node]:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            line = event.start_mark.line + 1 if event.start_mark else 0
            match event:
                case yaml.ScalarEvent():
                    scalar = _scalar(event, line)
                    self._add(scalar, 1 + len(scalar.text) // _CHARACTERS_PER_NODE, event.anchor, line)
                case yaml.MappingStartEvent():
                    self._start(Mapping(line), event.anchor, line)
                case yaml.SequenceStartEvent():
                    self._start(Sequence(line), event.anchor, line)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    done = self._open.pop()
                    _merge(done)
                    # Its parts are charged already; the parent takes their sum for the case of an alias.
                    self._nodes -= done.size
                    self._add(done.node, done.size, done.anchor, line)
                case yaml.AliasEvent():
                    if event.anchor not in self._anchors:
                        raise UnreadableYamlError(line, f"alias *{event.anchor} stands before its anchor's end")
                    self._add(*self._anchors[event.anchor], None, line)
                case yaml.DocumentStartEvent():
                    self._anchors.clear()
        return self._documents

    def _start(self, node: Sequence | Mapping, anchor: str | None, line: int) -> None:
        if len(self._open) >= _DEEPEST:
            raise UnreadableYamlError(line, f"nested more than {_DEEPEST} levels deep")
        self._charge(1, line)
        self._open.append(_Open(node, anchor))

    def _add(self, node: Node, size: int, anchor: str | None, line: int) -> None:
        self._charge(size, line)
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._open:
            self._documents.append(node)
            return
        parent = self._open[-1]
        parent.size += size
        if isinstance(parent.node, Sequence):
            parent.node.items.append(node)
        elif not parent.has_key:
            parent.has_key, parent.key = True, node.text if isinstance(node, Scalar) else None
        else:
            self._set(parent, parent.node, node)

    def _set(self, parent: _Open, mapping: Mapping, value: Node) -> None:
        key, parent.key, parent.has_key = parent.key, None, False
        if key == "<<":
            parent.merged += value.items if isinstance(value, Sequence) else [value]
        elif key is not None:
            if key in mapping.values:
                mapping.repeated.append(key)
            mapping.values[key] = value

    def _charge(self, size: int, line: int) -> None:
        self._nodes += size
        if self._nodes > _MOST_NODES:
            raise UnreadableYamlError(line, f"more than {_MOST_NODES:,} values once its aliases are unfolded")


def _merge(done: _Open) -> None:
    """Merge keys (``<<: *base``) give what the mapping itself does not say; the first of several bases counts."""
    if not isinstance(done.node, Mapping):
        return
    for base in done.merged:
        if isinstance(base, Mapping):
            for key, value in base.values.items():
                done.node.values.setdefault(key, value)


def _scalar(event: yaml.ScalarEvent, line: int) -> Scalar:
    plain = event.implicit[0] and event.tag is None
    is_null = plain and event.value in _NULLS
    return Scalar(event.value, line, is_text=not plain or _is_text(event.value), is_null=is_null)


def _is_text(value: str) -> bool:
    """Whether YAML reads a plain value as text."""
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers.get(value[:1], [])
    return all(tag == _TEXT_TAG or not pattern.match(value) for tag, pattern in resolvers)
