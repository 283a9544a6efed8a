-- Tokens as hashes: nobody who reads this file can use one. Times are UTC in ISO 8601 with microseconds, so that their
-- order as text is their order in time.

CREATE TABLE tokens (
    -- The part of a token that may be seen: it says which one it is, and proves nothing.
    token_id TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    principal TEXT NOT NULL,
    -- JSON list.
    scope TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    per_minute INTEGER NOT NULL CHECK (per_minute > 0),
    burst INTEGER NOT NULL CHECK (burst > 0),
    rotated_to TEXT,
    ended_at TEXT,
    -- Why it ended: revoked, expired, or never used and rotated again.
    ended_by TEXT CHECK (ended_by IN ('revoked', 'expired', 'unused')),
    last_used_day TEXT
) STRICT;

-- One row: the latest time that was seen. A token is worth nothing at a time before it.
CREATE TABLE clock (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    latest TEXT NOT NULL,
    -- How often an earlier time was accepted: what a process saw before the last of them does not count. Files from
    -- before there was this column get it when they are opened.
    acceptances INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TRIGGER what_has_ended_stays_so BEFORE UPDATE ON tokens
WHEN old.ended_at IS NOT NULL AND (new.ended_at IS NOT old.ended_at OR new.ended_by IS NOT old.ended_by)
BEGIN
    SELECT raise(ABORT, 'a token that has ended stays so');
END;

CREATE TRIGGER a_token_never_lives_longer BEFORE UPDATE ON tokens
WHEN new.expires_at > old.expires_at OR new.hash <> old.hash OR new.principal <> old.principal OR new.scope <> old.scope
BEGIN
    SELECT raise(ABORT, 'a token is never changed to be worth more');
END;

CREATE TRIGGER tokens_are_never_deleted BEFORE DELETE ON tokens
BEGIN
    SELECT raise(ABORT, 'a token stays on record');
END;
