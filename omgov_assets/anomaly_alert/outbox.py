"""The outbox: messages that are to be sent, on disk before anybody tries to send them.

SQLite in WAL mode with ``synchronous=FULL``: what is committed survives a power cut. A message is claimed before it is
sent and marked afterwards, so that it is delivered at least once whatever dies in between. Does not belong here: which
messages there are (``raising``), sending them (``delivery``).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.anomaly_alert.silences import Silence
from omgov_assets.data_lake.durability import sqlite_transaction
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.data_lake.sqlite_files import OtherVersionError, open_sqlite
from omgov_assets.model_management.alert_routes import Delivery
from omgov_assets.model_management.documents import content_hash

STATES = ("pending", "sent", "dead")

_SCHEMA = read_sql(Path(__file__).with_name("outbox.sql"))
_SCHEMA_VERSION = 1
_COLUMNS = "key, receiver, sink, content, attempts, next_attempt, state, last_error, created_at, sent_at"


class OutboxError(Exception):
    """The outbox cannot be used; says what to do."""


@dataclass(frozen=True)
class Message:
    """One message for one sink.

    Attributes:
        key: messages with one key are one message, however often they arrive.
        receiver: who is told, as the routes call them.
        sink: by what: ``apprise:VARIABLE`` or ``alertmanager:URL``.
        alerts: what it says.
        attempts: how often somebody began to send it.
        next_attempt: not before this time.
        state: pending, sent or dead.
        last_error: why the last attempt failed, without secrets.
        created_at: when it was written.
        sent_at: when its sink took it.
    """

    key: str
    receiver: str
    sink: str
    alerts: tuple[Alert, ...]
    attempts: int
    next_attempt: datetime
    state: str
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True)
class Pruned:
    """How many messages, alerts and groups ``Outbox.prune`` deleted."""

    messages: int
    alerts: int
    groups: int


class Outbox:
    """The outbox of a home, opened.

    Args:
        path: the SQLite file; it is made where it is missing.

    Raises:
        OutboxError: the file is of another version of omgov, or none of SQLite's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.con = open_sqlite(path, _SCHEMA, _SCHEMA_VERSION, timeout_s=60)
        except OtherVersionError as error:
            raise OutboxError(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise OutboxError(f"{path} cannot be read as an outbox ({error}); restore it or move it away") from error

    def close(self) -> None:
        """Close the file."""
        self.con.close()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(
        self,
        notification: str,
        receiver: str,
        sinks: Sequence[str],
        alerts: Iterable[Alert],
        now: datetime,
        due_at: datetime,
    ) -> int:
        """Write a message for each sink; one that is there already stays as it is. Returns how many are new."""
        content, written = content_of(alerts), 0
        for sink in sinks:
            written += self.con.execute(
                "INSERT INTO messages (key, notification, receiver, sink, content, next_attempt, created_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                (content_hash(notification, sink), notification, receiver, sink, content, stamp(due_at), stamp(now)),
            ).rowcount
        return written

    def waiting(self, notification: str) -> tuple[Alert, ...] | None:
        """What the messages of a notification say, where nobody has tried to send any of them; else None."""
        rows = self.con.execute(
            "SELECT content, attempts, state FROM messages WHERE notification = ? ORDER BY key", (notification,)
        ).fetchall()
        if not rows or any(attempts or state != "pending" for _, attempts, state in rows):
            return None
        return alerts_of(rows[0][0])

    def rewrite(self, notification: str, alerts: Iterable[Alert]) -> None:
        """Let the messages of a notification say something else; nobody has tried to send any of them."""
        self.con.execute(
            "UPDATE messages SET content = ? WHERE notification = ? AND attempts = 0",
            (content_of(alerts), notification),
        )

    def claim(
        self, now: datetime, delivery: Delivery, lease: timedelta, except_sinks: Sequence[str] = ()
    ) -> Message | None:
        """Take the message that has been due longest, and let nobody else take it for the time of the lease.

        A message whose last permitted attempt ended without a word becomes a dead letter instead.
        """
        with sqlite_transaction(self.con):
            self.con.execute(
                "UPDATE messages SET state = 'dead', last_error = ? "
                "WHERE state = 'pending' AND next_attempt <= ? AND attempts >= ?",
                ("the last attempt ended without an answer: it may have arrived", stamp(now), delivery.attempts),
            )
            rows = self.con.execute(
                "UPDATE messages SET attempts = attempts + 1, next_attempt = ? WHERE key = ("  # noqa: S608 - own columns
                "SELECT key FROM messages WHERE state = 'pending' AND next_attempt <= ? "
                "AND sink NOT IN (SELECT value FROM json_each(?)) "
                f"ORDER BY next_attempt, key LIMIT 1) RETURNING {_COLUMNS}",
                (stamp(now + lease), stamp(now), json.dumps(list(except_sinks))),
            ).fetchall()
        return _message(rows[0]) if rows else None

    def sent(self, key: str, now: datetime) -> None:
        """Mark a message that its sink has taken."""
        self.con.execute(
            "UPDATE messages SET state = 'sent', sent_at = ?, last_error = NULL WHERE key = ?", (stamp(now), key)
        )

    def failed(self, message: Message, reason: str, now: datetime, delivery: Delivery) -> str:
        """Mark a claimed message that was not delivered; returns its state: pending, or dead after the last attempt."""
        state = "dead" if message.attempts >= delivery.attempts else "pending"
        # Later in any case, or who asks again for what is due now would never come to an end.
        wait = max(delivery.wait(message.attempts), timedelta(microseconds=1))
        self.con.execute(
            "UPDATE messages SET state = ?, last_error = ?, next_attempt = ? WHERE key = ? AND state = 'pending'",
            (state, reason, stamp(now + wait), message.key),
        )
        return state

    def revive(self, now: datetime, keys: Sequence[str] | None = None) -> int:
        """Make dead letters pending again, all of them or those named; returns how many."""
        return self.con.execute(
            "UPDATE messages SET state = 'pending', attempts = 0, next_attempt = ? WHERE state = 'dead' "
            "AND (? OR key IN (SELECT value FROM json_each(?)))",
            (stamp(now), keys is None, json.dumps(list(keys or ()))),
        ).rowcount

    def messages(self, states: Sequence[str] = STATES, limit: int | None = None) -> list[Message]:
        """Messages in some states, those last written first."""
        rows = self.con.execute(
            f"SELECT {_COLUMNS} FROM messages WHERE state IN (SELECT value FROM json_each(?)) "  # noqa: S608 - as above
            "ORDER BY created_at DESC, next_attempt DESC, key LIMIT ?",
            (json.dumps(list(states)), -1 if limit is None else limit),
        ).fetchall()
        return [_message(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """Messages by state."""
        found = dict(self.con.execute("SELECT state, count(*) FROM messages GROUP BY state").fetchall())
        return {state: found.get(state, 0) for state in STATES}

    def prune(self, before: datetime, dead: bool = False) -> Pruned:
        """Delete what is over and older than a time, in one transaction: messages that were sent, alerts, groups.

        What is pending is never deleted, nor what still holds. Of the momentary alerts that are deleted, the last day
        that they are about is remembered: what is about that day or earlier ones is not told again.

        Args:
            before: what was sent, or came, before this time.
            dead: whether dead letters of that age are deleted as well.
        """
        limit, day = stamp(before), before.astimezone(UTC).date().isoformat()
        with sqlite_transaction(self.con):
            messages = self.con.execute(
                "DELETE FROM messages "
                "WHERE (state = 'sent' AND sent_at < ?) OR (? AND state = 'dead' AND created_at < ?)",
                (limit, dead, limit),
            ).rowcount
            alerts = self.con.execute(
                "DELETE FROM alerts WHERE active = 0 AND received_at < ? AND ends_at < ? RETURNING status, ends_at",
                (limit, day),
            ).fetchall()
            told_until = max((ends_at for status, ends_at in alerts if status == "firing"), default=None)
            if told_until is not None:
                self._forget_before(date.fromisoformat(told_until) + timedelta(days=1))
            # The next message of a group takes its key from the one before: a group that begins anew must not meet an
            # old message of the same key.
            groups = self.con.execute(
                "DELETE FROM groups WHERE due_at < ? AND firing = '[]' "
                "AND NOT EXISTS (SELECT 1 FROM messages WHERE created_at < ?)",
                (limit, limit),
            ).rowcount
        return Pruned(messages, len(alerts), groups)

    def _forget_before(self, day: date) -> None:
        self.con.execute(
            "INSERT INTO forgotten (only, before_day) VALUES (1, ?) "
            "ON CONFLICT (only) DO UPDATE SET before_day = excluded.before_day WHERE excluded.before_day > before_day",
            (day.isoformat(),),
        )

    def forgotten_before(self) -> date:
        """Day before which momentary alerts may have been deleted; the first of all days where none was."""
        rows = self.con.execute("SELECT before_day FROM forgotten").fetchall()
        return date.fromisoformat(rows[0][0]) if rows else date.min

    def record_silence(self, silence: Silence, now: datetime) -> None:
        """Add an entry to the record of silences, which only grows."""
        self.con.execute(
            "INSERT INTO silences (content, recorded_at) VALUES (?, ?)", (silence_text(silence), stamp(now))
        )

    def silences(self) -> list[Silence]:
        """All entries of the record, in the order in which they were made."""
        rows = self.con.execute("SELECT content FROM silences ORDER BY entry").fetchall()
        return [Silence.model_validate_json(content) for (content,) in rows]


def stamp(time: datetime) -> str:
    """A time as the outbox keeps it."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def content_of(alerts: Iterable[Alert]) -> str:
    """Alerts as the outbox keeps them."""
    return json.dumps([alert.model_dump(mode="json") for alert in alerts], ensure_ascii=False, sort_keys=True)


def alerts_of(content: str) -> tuple[Alert, ...]:
    """The alerts of a content."""
    return tuple(Alert.model_validate(entry) for entry in json.loads(content))


def silence_text(silence: Silence) -> str:
    """A silence as the outbox keeps it, its matchers as they are written."""
    document = silence.model_dump(mode="json") | {"matchers": [str(matcher) for matcher in silence.matchers]}
    return json.dumps(document, ensure_ascii=False, sort_keys=True)


def _message(row: tuple[Any, ...]) -> Message:
    key, receiver, sink, content, attempts, next_attempt, state, last_error, created_at, sent_at = row
    return Message(
        key,
        receiver,
        sink,
        alerts_of(content),
        attempts,
        datetime.fromisoformat(next_attempt),
        state,
        last_error,
        datetime.fromisoformat(created_at),
        datetime.fromisoformat(sent_at) if sent_at else None,
    )
