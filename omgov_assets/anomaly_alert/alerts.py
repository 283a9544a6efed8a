"""An alert: something that a person should know, as labels that tell it apart and annotations that say it.

Belongs here: what an alert is, and how two of them are told apart. Does not belong here: which alerts there are
(``digests``, ``immediate``), who is told (``routing``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from omgov_assets.model_management.alert_routes import LABELS
from omgov_assets.model_management.documents import content_hash

LANGUAGES = ("en", "zh")
# Besides these, an alert may have `report` (page) and `command` (what to type).
REQUIRED_ANNOTATIONS = tuple(f"{name}_{language}" for name in ("summary", "description") for language in LANGUAGES)
ANNOTATIONS = (*REQUIRED_ANNOTATIONS, "report", "command")

DIGEST = "digest"
REFUSED_BATCH = "refused_batch"
BLOCKING_CHECK = "blocking_check"
FAILED_RUN = "failed_run"
BROKEN_AUDIT = "broken_audit"
OVERDUE_CASE = "overdue_case"
ESCALATED_CASE = "escalated_case"
UNFINISHED_NIGHT = "unfinished_night"
HEARTBEAT = "heartbeat"
TRIAL = "trial"


class Alert(BaseModel):
    """One alert; two with the same labels are the same alert.

    Attributes:
        labels: what tells it apart, by name; some of ``LABELS``, ``alertname`` always, none of them empty.
        annotations: ``summary`` and ``description`` in each language, ``report`` and ``command`` where there is one.
            Neither personal data nor any value of a record.
        starts_at: business day since which it holds.
        ends_at: business day on which it ended; for one that fires, the last day that it is about. Such an alert is
            *momentary*: told once, never repeated, never resolved. Others stand until they are resolved.
        status: firing, or resolved.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: date
    ends_at: date | None = None
    status: Literal["firing", "resolved"] = "firing"

    @field_validator("labels")
    @classmethod
    def _labels_tell_apart(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(value) - set(LABELS))
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no label of alerts; there are {', '.join(LABELS)}")
        if "alertname" not in value or not all(value.values()):
            raise ValueError("an alert has an alertname, and no label is empty")
        return dict(sorted(value.items()))

    @field_validator("annotations")
    @classmethod
    def _is_said_in_both_languages(cls, value: dict[str, str]) -> dict[str, str]:
        missing = [name for name in REQUIRED_ANNOTATIONS if not value.get(name)]
        unknown = sorted(set(value) - set(ANNOTATIONS))
        if missing or unknown:
            raise ValueError(f"annotations lack {missing} and have unknown {unknown}")
        return dict(sorted(value.items()))

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Alert:
        if self.ends_at is not None and self.ends_at < self.starts_at:
            raise ValueError(f"ends on {self.ends_at}, before it starts on {self.starts_at}")
        if self.status == "resolved" and self.ends_at is None:
            raise ValueError("what is resolved has ended on some day")
        return self

    @property
    def name(self) -> str:
        """Its kind: the label ``alertname``."""
        return self.labels["alertname"]

    @cached_property
    def fingerprint(self) -> str:
        """Key by which it is told apart: a hash of its labels."""
        return fingerprint(self.labels)

    @property
    def is_momentary(self) -> bool:
        """Whether it is told once and stands for nothing that goes on."""
        return self.status == "firing" and self.ends_at is not None

    def resolved(self, day: date) -> Alert:
        """The same alert, over since a day."""
        return self.model_copy(update={"status": "resolved", "ends_at": max(day, self.starts_at)})

    def text(self, name: str, language: str) -> str:
        """``summary`` or ``description`` in a language."""
        return self.annotations[f"{name}_{language}"]


def fingerprint(labels: Mapping[str, str]) -> str:
    """Hash of labels, in whatever order they are given."""
    return content_hash(*(part for pair in sorted(labels.items()) for part in pair))
