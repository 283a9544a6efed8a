"""What a catalogue gives: metric definitions as the tool states them, and findings about what is wrong with them.

Belongs here: the shapes that all formats share, and the checks that are the same for every tool. Does not belong here:
a tool's own syntax (one module each) and where files come from (``sources``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One metric definition of a tool, in the columns of the standard dataset ``metric_definitions``.

    Attributes:
        file: file that states it, relative to what was imported.
        line: line in the file, from 1.
        source_metric: the metric's name in the tool; unique where the tool's catalogue is sound.
        display_name: name for people, in any language.
        description: what is measured.
        source_unit: unit exactly as the tool spells it; None where it gives none.
        instrument: gauge, counter, updowncounter or histogram; None where the tool does not say.
        value_type: int or double; None where the tool does not say.
        interval_s: collection interval in seconds.
        valid_min: least valid value in the source unit.
        valid_max: greatest valid value in the source unit.
        ci_class: class of CI, where the tool says so in the firm's words.
        status: active, deprecated or withdrawn.
        renamed_to: the metric that replaces this one, where the tool says so.
    """

    file: str
    line: int
    source_metric: str
    display_name: str | None = None
    description: str | None = None
    source_unit: str | None = None
    instrument: str | None = None
    value_type: str | None = None
    interval_s: int | None = None
    valid_min: float | None = None
    valid_max: float | None = None
    ci_class: str | None = None
    status: str = "active"
    renamed_to: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a catalogue.

    Attributes:
        kind: what is wrong, as a word that can be counted: see ``FINDING_KINDS``.
        file: file, relative to what was imported.
        line: line in the file, from 1; 0 for the file as a whole.
        source_metric: the metric concerned, where there is one; as ``shown`` writes it.
        detail: a sentence for a person, with the value; control characters escaped, at most 200 characters of a value.
        refused: whether the definition (or the whole file) was left out because of it.
    """

    kind: str
    file: str
    line: int
    source_metric: str | None
    detail: str
    refused: bool = False


# What every tool's catalogue may suffer from, and what it means; ``refused`` kinds leave the definition out.
FINDING_KINDS: dict[str, str] = {
    "unparsable_file": "the file is malformed or too large; nothing of it was read",
    "unreadable_text": "the file is not valid UTF-8",
    "unsafe_path": "a link, a device or a path that leads out of what was imported; it was not read",
    "catalogue_too_large": "more files, bytes or definitions than a catalogue may have; reading stopped there",
    "malformed_record": "a record has more or fewer fields than its header, or misses its structure",
    "name_missing": "a definition without a name",
    "name_invalid": "a name with control characters or of more than 512 characters",
    "name_duplicate": "the name was defined before in the same catalogue",
    "unit_missing": "a numeric metric without a unit",
    "unit_unknown": "a unit that the firm's spellings do not know",
    "divisor_without_unit": "a unit that says per what, but not what",
    "rate_without_divisor": "a rate whose unit does not say per what",
    "unit_conflict": "the same metric stated with another unit elsewhere in the catalogue",
    "type_missing": "neither instrument nor value type",
    "type_unknown": "an instrument or value type that the tool's format does not know",
    "type_conflict": "the same metric stated with another instrument or value type elsewhere in the catalogue",
    "type_against_unit": "instrument or value type and unit contradict each other",
    "interval_missing": "no collection interval",
    "interval_unreadable": "a collection interval that is a macro, a schedule or no number",
    "description_missing": "no description",
    "text_invalid": "a text with characters that cannot be stored",
    "not_numeric": "text or log, which is no metric; it was left out",
}


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """One file of a catalogue: its path relative to what was imported, and its bytes."""

    name: str
    content: bytes


class CatalogueReader(Protocol):
    """A tool's format."""

    def wants(self, name: str) -> bool:
        """Whether a file of this relative path states metric definitions."""

    def read(self, file: CatalogueFile) -> Iterator[CatalogueEntry | Finding]:
        """Entries and findings of a file, in the order of its lines.

        A file that cannot be read gives one refused finding (``unparsable_file``, ``unreadable_text``) and no entry;
        nothing raises for bad content.
        """


SHOWN_CHARACTERS = 200

# C0 and C1 controls, line and paragraph separators, directional overrides, and halves of surrogate pairs: what would
# break a line, reorder a terminal's text or cannot be written as UTF-8.
CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escaped(value: str) -> str:
    """A text of a file with its control characters escaped, such as a file's name."""
    return CONTROL_CHARACTERS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), value)


def shown(value: str) -> str:
    """A name or message as a report may carry it: control characters escaped, at most 200 characters."""
    if len(value) <= SHOWN_CHARACTERS:
        return escaped(value)
    return f"{escaped(value[:SHOWN_CHARACTERS])}… ({len(value):,} characters)"
