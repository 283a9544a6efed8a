-- The outbox: which alerts there are, what each group was told, which messages are to be sent, and who silenced what.
-- Times are UTC in ISO 8601 with microseconds, so that their order as text is their order in time.

CREATE TABLE alerts (
    fingerprint TEXT PRIMARY KEY,
    content TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('firing', 'resolved')),
    ends_at TEXT,
    -- Whether it can still ask for a message.
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    suppressed_by TEXT,
    received_at TEXT NOT NULL
) STRICT;

CREATE INDEX active_alerts ON alerts (fingerprint) WHERE active = 1;

CREATE TABLE groups (
    group_key TEXT PRIMARY KEY,
    notification TEXT NOT NULL,
    due_at TEXT NOT NULL,
    -- JSON list of the fingerprints that the receiver believes to hold.
    firing TEXT NOT NULL
) STRICT;

CREATE TABLE messages (
    key TEXT PRIMARY KEY,
    notification TEXT NOT NULL,
    receiver TEXT NOT NULL,
    sink TEXT NOT NULL,
    content TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'dead')),
    last_error TEXT,
    created_at TEXT NOT NULL,
    sent_at TEXT
) STRICT;

CREATE INDEX due_messages ON messages (next_attempt, key) WHERE state = 'pending';
CREATE INDEX messages_of_notification ON messages (notification);

CREATE TABLE silences (
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    content TEXT NOT NULL,
    recorded_at TEXT NOT NULL
) STRICT;

CREATE TRIGGER silences_are_not_changed BEFORE UPDATE ON silences
BEGIN
    SELECT raise(ABORT, 'silences are append-only');
END;

CREATE TRIGGER silences_are_not_deleted BEFORE DELETE ON silences
BEGIN
    SELECT raise(ABORT, 'silences are append-only');
END;

CREATE TRIGGER pending_messages_are_not_deleted BEFORE DELETE ON messages WHEN old.state = 'pending'
BEGIN
    SELECT raise(ABORT, 'a message that is to be sent is never deleted');
END;

-- One row: alerts about days before this one may have been forgotten, so that nobody is told of those days again.
CREATE TABLE forgotten (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    before_day TEXT NOT NULL
) STRICT;

CREATE TRIGGER what_is_forgotten_stays_so BEFORE UPDATE ON forgotten WHEN new.before_day < old.before_day
BEGIN
    SELECT raise(ABORT, 'what is forgotten cannot be remembered');
END;

CREATE TRIGGER that_something_is_forgotten_stays_known BEFORE DELETE ON forgotten
BEGIN
    SELECT raise(ABORT, 'what is forgotten cannot be remembered');
END;
