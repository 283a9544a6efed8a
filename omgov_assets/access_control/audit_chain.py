"""The audit chain: what is on record of an access decision, and how entries hang together.

An entry's hash covers its number, its content and the hash of the entry before it, so that no entry can be changed,
taken out, put in or moved without all that follow being written anew; a head that is kept elsewhere (``audit_anchor``)
finds that as well. Does not belong here: where entries are kept (``audit_log``, ``audit_lake``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from omgov_assets.data_lake.masks import without_personal_data

GENESIS = hashlib.sha256(b"omgov audit chain 1").hexdigest()

Outcome = Literal["allow", "deny", "notice"]
OUTCOMES: tuple[Outcome, ...] = ("allow", "deny", "notice")

# A request may bring texts of any length: what is kept of one says what it was, and does not fill the disk.
_LONGEST_TEXT = 500
_MOST_COLUMNS = 2_000
_LONGEST_READ = 2_000


@dataclass(frozen=True)
class Decision:
    """What is on record of one access decision. The principal's identifier is the only personal data in it.

    Texts lose what looks like an e-mail address or a telephone number, since they may repeat what a request said, and
    what is longer than 500 characters is cut.

    Attributes:
        at: when it was decided, with a time zone.
        principal: identifier of who asked; ``nobody`` where that was not proved.
        dataset: dataset, or what the request named instead of one.
        decision: allow or deny; notice for what a person did to the audit or to tokens.
        reason: deciding policies, or why it was denied.
        policy_hash: hash of the policies that were decided by.
        purpose: what the principal said it was for.
        version: Delta version that was read.
        columns: columns that were shown, masked ones among them.
        masks: mask by column.
        rows: which rows: all, none, or the row filter.
        row_count: how many rows left, where that is known beforehand.
    """

    at: datetime
    principal: str
    dataset: str
    decision: Outcome
    reason: str
    policy_hash: str = ""
    purpose: str | None = None
    version: int | None = None
    columns: tuple[str, ...] = ()
    masks: Mapping[str, str] = field(default_factory=dict)
    rows: str = "none"
    row_count: int | None = None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("a decision is made at a time with a time zone")
        if self.decision not in OUTCOMES:
            raise ValueError(f"{self.decision!r} is no outcome of a decision; there are {', '.join(OUTCOMES)}")
        if self.decision == "allow" and len(self.columns) > _MOST_COLUMNS:
            raise ValueError(f"{len(self.columns)} columns are more than can be kept on record ({_MOST_COLUMNS})")
        shown: dict[str, object] = {
            "principal": _kept(self.principal),
            "policy_hash": _kept(self.policy_hash),
            "columns": tuple(map(_impersonal, self.columns[:_MOST_COLUMNS])),
            "masks": {_impersonal(column): _impersonal(mask) for column, mask in self.masks.items()},
        }
        shown |= {name: _impersonal(getattr(self, name)) for name in ("dataset", "reason", "rows")}
        shown["purpose"] = None if self.purpose is None else _impersonal(self.purpose)
        for name, value in shown.items():
            object.__setattr__(self, name, value)

    def denied(self, reason: str) -> Decision:
        """The same request, denied."""
        return replace(self, decision="deny", reason=reason, columns=(), masks={}, rows="none", row_count=None)

    def fields(self) -> dict[str, Any]:
        """The record as it is kept: times and masks as text, since the hash covers exactly that text."""
        return {
            "at": stamp(self.at),
            "principal": self.principal,
            "purpose": self.purpose,
            "dataset": self.dataset,
            "version": self.version,
            "columns": list(self.columns),
            "rows": self.rows,
            "row_count": self.row_count,
            "masks": json.dumps(self.masks, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
            "policy_hash": self.policy_hash,
            "decision": self.decision,
            "reason": self.reason,
        }


FIELDS = (
    "at",
    "principal",
    "purpose",
    "dataset",
    "version",
    "columns",
    "rows",
    "row_count",
    "masks",
    "policy_hash",
    "decision",
    "reason",
)


@dataclass(frozen=True)
class Entry:
    """One entry of the chain; ``content`` is the canonical text of its fields."""

    seq: int
    previous_hash: str
    content: str
    hash: str

    @property
    def fields(self) -> dict[str, Any]:
        """The record by field."""
        read: dict[str, Any] = json.loads(self.content)
        return read

    @property
    def day(self) -> str:
        """UTC day of the decision, as the lake is partitioned."""
        return str(self.fields["at"])[:10]


@dataclass(frozen=True)
class Finding:
    """One fault of the audit.

    Attributes:
        place: lake, log, head or anchor.
        seq: number of the entry; None where the fault is of none.
        fault: altered, missing, out_of_order, replaced, truncated, unreadable or forged.
        explanation: what is wrong, as a sentence.
    """

    place: str
    seq: int | None
    fault: str
    explanation: str


class ChainWalk:
    """Goes along entries and says where they do not follow each other.

    Args:
        place: where the entries are.
        seq: number of the entry before the first.
        hash_before: its hash.
        wanted: numbers of entries whose hashes are remembered in ``hashes``.
    """

    def __init__(self, place: str, seq: int = 0, hash_before: str = GENESIS, wanted: Iterable[int] = ()) -> None:
        self.place, self.seq, self.hash = place, seq, hash_before
        self._wanted = frozenset(wanted)
        self.hashes = {seq: hash_before} if seq in self._wanted else {}
        self.walked = 0

    def step(self, entry: Entry) -> Finding | None:
        """Go on to an entry; what is wrong with it, where something is."""
        finding = self._fault(entry)
        # From here on the entry is believed, so that one fault is one finding.
        if finding is None or finding.fault != "out_of_order":
            self.seq, self.hash = entry.seq, entry.hash
            if entry.seq in self._wanted:
                self.hashes[entry.seq] = entry.hash
        self.walked += 1
        return finding

    def _fault(self, entry: Entry) -> Finding | None:
        if entry.seq <= self.seq:
            return self._found(entry, "out_of_order", f"entry {entry.seq} comes again after entry {self.seq}")
        if entry.seq > self.seq + 1:
            first, last = self.seq + 1, entry.seq - 1
            return self._found(entry, "missing", f"entries {first} to {last} are missing" if first < last
                               else f"entry {first} is missing")  # fmt: skip
        if hash_of(entry.seq, entry.previous_hash, entry.content) != entry.hash:
            return self._found(entry, "altered", f"entry {entry.seq} is not what was written: its hash differs")
        if entry.previous_hash != self.hash:
            return self._found(entry, "replaced", f"entry {entry.seq} does not follow the entry before it")
        return None

    def _found(self, entry: Entry, fault: str, explanation: str) -> Finding:
        return Finding(self.place, entry.seq, fault, explanation)


def chained(seq: int, previous_hash: str, fields: Mapping[str, Any]) -> Entry:
    """The entry that follows another."""
    content = content_of(fields)
    return Entry(seq, previous_hash, content, hash_of(seq, previous_hash, content))


def content_of(fields: Mapping[str, Any]) -> str:
    """Canonical text of a record: equal records are equal texts."""
    return json.dumps(
        {name: fields[name] for name in FIELDS}, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )


def hash_of(seq: int, previous_hash: str, content: str) -> str:
    """SHA-256 over number, hash before and content, in hexadecimal."""
    return hashlib.sha256(f"{seq}\n{previous_hash}\n{content}".encode("utf-8", "surrogatepass")).hexdigest()


def stamp(time: datetime) -> str:
    """A time as the record keeps it: UTC, ISO 8601 with microseconds, so that order as text is order in time."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _kept(text: str) -> str:
    """A text that can be stored in any of the places: no lone surrogates, no NUL, not endless."""
    clean = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
    return clean if len(clean) <= _LONGEST_TEXT else f"{clean[: _LONGEST_TEXT - 1]}…"


def _impersonal(text: str) -> str:
    # Looked for before the text is cut, or half a number would stay.
    return _kept(without_personal_data(text[:_LONGEST_READ]))
