"""Silences: what somebody does not want to be told of for a while, with name, reason and end.

Pure functions and what a silence is. Does not belong here: keeping silences (``outbox``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.model_management.alert_routes import Matcher
from omgov_assets.model_management.documents import content_hash


class Silence(BaseModel):
    """One entry of the record of silences, which only grows: of entries with one id, the last counts.

    Attributes:
        silence_id: given by ``new_silence``.
        author: who wants it.
        reason: why, for those who wonder where alerts are.
        matchers: all must hold for an alert to be silenced.
        starts_at: since when.
        expires_at: until when.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    silence_id: str = Field(min_length=1)
    author: str
    reason: str
    matchers: tuple[Matcher, ...]
    starts_at: AwareDatetime
    expires_at: AwareDatetime

    @field_validator("author", "reason")
    @classmethod
    def _is_said(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("a silence has an author and a reason")
        return value

    @field_validator("matchers")
    @classmethod
    def _silences_not_everything(cls, value: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
        if all(matcher.matches("") for matcher in value):
            raise ValueError("one matcher at least must not match an empty value: this would silence everything")
        return value

    @model_validator(mode="after")
    def _ends(self) -> Silence:
        if self.expires_at < self.starts_at:
            raise ValueError(f"expires at {self.expires_at}, before it starts at {self.starts_at}")
        return self

    def is_active(self, now: datetime) -> bool:
        """Whether it holds: from its start on, and no longer at its end."""
        return self.starts_at <= now < self.expires_at

    def covers(self, alert: Alert) -> bool:
        """Whether all matchers hold for an alert."""
        return all(matcher.matches(alert.labels.get(matcher.label, "")) for matcher in self.matchers)


def new_silence(
    author: str, reason: str, matchers: Sequence[str], starts_at: datetime, expires_at: datetime
) -> Silence:
    """A silence with an id that its content gives. Raises pydantic's ``ValidationError``."""
    identity = content_hash(author, reason, *matchers, starts_at.isoformat(), expires_at.isoformat())
    return Silence.model_validate(
        {
            "silence_id": identity,
            "author": author,
            "reason": reason,
            "matchers": tuple(matchers),
            "starts_at": starts_at,
            "expires_at": expires_at,
        }
    )


def last_entries(entries: Iterable[Silence]) -> list[Silence]:
    """Of each silence the entry that counts, out of all entries in the order in which they were made."""
    return list({entry.silence_id: entry for entry in entries}.values())


def silenced(alerts: Iterable[Alert], silences: Iterable[Silence], now: datetime) -> dict[str, str]:
    """By fingerprint of what is silenced, the id of the first silence that does so."""
    active = sorted(
        (silence for silence in last_entries(silences) if silence.is_active(now)), key=lambda each: each.silence_id
    )
    found: dict[str, str] = {}
    for alert in alerts:
        for silence in active:
            if silence.covers(alert):
                found[alert.fingerprint] = silence.silence_id
                break
    return found
