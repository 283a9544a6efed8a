"""Acts on cases by REST: what they take, and doing them on the state that was seen.

Owns one rule: an act says in If-Match which state of the case it is about, and is done on no other. Does not belong
here: what an act makes of a case (``exception_management``), whether somebody may act (``access_control``).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from omgov_assets.data_lake.lake import Lake
from omgov_assets.exception_management import acts
from omgov_assets.exception_management.acts import MEMBER_FILTERS, Person
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.interface_service.problems import Problem

_TAG = re.compile(r'"([A-Za-z0-9._-]{1,128})"', re.ASCII)

Text = Annotated[str, Field(min_length=1, max_length=4000, pattern=r"\S")]
Word = Annotated[str, Field(min_length=1, max_length=400, pattern=r"\S")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Nothing(_Body):
    """An act that says nothing further."""


class Assignment(_Body):
    """Give the case to a person who works on it, or to another support group; one of the two."""

    to: Word | None = None
    group: Word | None = None
    reason: Text

    @model_validator(mode="after")
    def _one_of_both(self) -> Assignment:
        if (self.to is None) == (self.group is None):
            raise ValueError("name a person (to) or a support group (group), not both")
        return self


class FixClaim(_Body):
    """Say what was done at the source; the next nights verify it."""

    text: Text


class CaseWaiver(_Body):
    """Accept the case as it is until a day, which counts."""

    reason: Text
    until: Annotated[date, Field(strict=False)]


class Comment(_Body):
    """A text, or the reference of an external ticket, or both."""

    text: Text | None = None
    ticket: Word | None = None

    @model_validator(mode="after")
    def _something(self) -> Comment:
        if self.text is None and self.ticket is None:
            raise ValueError("say a text or a ticket")
        return self


class Split(_Body):
    """Make a case of its own of the open members that meet all of these conditions."""

    which: Annotated[dict[str, Annotated[list[Word], Field(min_length=1, max_length=10_000)]], Field(min_length=1)]
    reason: Text

    @model_validator(mode="after")
    def _known(self) -> Split:
        if not set(self.which) <= set(MEMBER_FILTERS):
            raise ValueError(f"which: name members by {', '.join(MEMBER_FILTERS)}")
        return self


class Merge(_Body):
    """Move all members of other cases to this one; each with its ETag's event, as it was seen."""

    others: Annotated[dict[Word, Word], Field(min_length=1, max_length=100)]
    reason: Text


@dataclass(frozen=True)
class ActOfRest:
    """An act as REST offers it.

    Attributes:
        name: last part of its address.
        brief: what it does, for people.
        body: what it takes.
        do: does it; returns the case that it made, where it makes one.
        example: a body.
    """

    name: str
    brief: str
    body: type[_Body]
    do: Callable[[Lake, CaseRules, dict[str, str], Person, Any], str | None]
    example: dict[str, Any]


def _acknowledge(lake: Lake, rules: CaseRules, seen: dict[str, str], person: Person, _body: Nothing) -> None:
    acts.acknowledge(lake, rules, seen, person)


def _assign(lake: Lake, rules: CaseRules, seen: dict[str, str], person: Person, body: Assignment) -> None:
    acts.assign(lake, rules, seen, person, body.to, body.group, body.reason)


def _claim_fix(lake: Lake, rules: CaseRules, seen: dict[str, str], person: Person, body: FixClaim) -> None:
    acts.claim_fix(lake, rules, seen, person, body.text)


def _waive(lake: Lake, rules: CaseRules, seen: dict[str, str], person: Person, body: CaseWaiver) -> None:
    acts.waive(lake, rules, seen, person, body.reason, body.until)


def _comment(lake: Lake, rules: CaseRules, seen: dict[str, str], person: Person, body: Comment) -> None:
    acts.comment(lake, rules, seen, person, body.text, body.ticket)


def _split(lake: Lake, rules: CaseRules, seen: dict[str, str], person: Person, body: Split) -> str:
    return acts.split(lake, rules, seen, person, body.which, body.reason)


def _merge(lake: Lake, rules: CaseRules, seen: dict[str, str], person: Person, body: Merge) -> None:
    (into,) = seen
    if into in body.others:
        raise Problem(400, "bad_body", "others: a case is not merged into itself.")
    acts.merge(lake, rules, seen | body.others, person, into, body.reason)


ACTS_OF_REST = (
    ActOfRest("acknowledge", "Say that somebody looks at the case", Nothing, _acknowledge, {}),
    ActOfRest(
        "assign",
        "Give the case to a person or to another support group",
        Assignment,
        _assign,
        {"to": "li.na@example.com", "reason": "knows the agent"},
    ),
    ActOfRest("claim-fix", "Say that the source is fixed", FixClaim, _claim_fix, {"text": "agent restarted"}),
    ActOfRest(
        "waive",
        "Accept the case as it is until a day",
        CaseWaiver,
        _waive,
        {"reason": "replaced next month", "until": "2026-12-31"},
    ),
    ActOfRest(
        "comment", "Add a comment or a ticket", Comment, _comment, {"text": "asked the vendor", "ticket": "OPS-1"}
    ),
    ActOfRest(
        "split",
        "Make some members a case of their own",
        Split,
        _split,
        {"which": {"ci_id": ["host-0001"]}, "reason": "another team's"},
    ),
    ActOfRest(
        "merge",
        "Move all members of other cases to this one",
        Merge,
        _merge,
        {"others": {"0123456789ab": "last_event_id of it"}, "reason": "the same cause"},
    ),
)


def body_of(act: ActOfRest, raw: bytes) -> Any:
    """What the body of an act says.

    Raises:
        Problem: 400; it is none, and which part of it is wrong. What it holds is not repeated.
    """
    try:
        body = TypeAdapter(act.body).validate_json(raw or b"{}")
        # Which of two values is meant nobody knows; pydantic takes the last one, and does not tell.
        json.loads(raw.decode() or "{}", object_pairs_hook=_once, parse_int=str)
    except ValidationError as error:
        found = error.errors(include_input=False)[:10]
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in found)
        raise Problem(400, "bad_body", f"{wrong}.") from None
    except (ValueError, RecursionError):
        raise Problem(400, "bad_body", "body: write one JSON object, in UTF-8.") from None
    return body


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ``Problem`` where it says a name twice."""
    said = dict(pairs)
    if len(said) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise Problem(400, "bad_body", f"{twice[:40]!r} is there more than once; say it once.")
    return said


def seen_event(if_match: str | None) -> str:
    """The event that ``If-Match`` says was the last of the case when it was looked at.

    Raises:
        Problem: 428 where it says none, 400 where it is not one entity tag.
    """
    if if_match is None:
        raise Problem(428, "say_what_you_saw", "Send the ETag of the case as you read it in If-Match.")
    matched = _TAG.fullmatch(if_match.strip())
    if matched is None:
        raise Problem(400, "bad_if_match", 'If-Match: send the one ETag of the case, such as "0123456789ab".')
    return matched[1]
