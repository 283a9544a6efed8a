-- What was pushed and acknowledged. Times are UTC in ISO 8601 with microseconds, so that their order as text is their
-- order in time.

CREATE TABLE receptions (
    -- Stands for target, day and content: the same push again is the same reception.
    id TEXT PRIMARY KEY,
    system TEXT NOT NULL,
    dataset TEXT NOT NULL,
    day TEXT NOT NULL,
    -- As in the ledger, with which (day, file_name) finds what was decided.
    file_name TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    received_at TEXT NOT NULL,
    -- received: the gate has not decided. failed: it could not, and nobody tries any more. Else the ledger's decision.
    state TEXT NOT NULL,
    -- How often the gate began with it.
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt TEXT NOT NULL,
    -- Why the last attempt failed; no data in it.
    last_error TEXT,
    -- The ledger's entry, in JSON.
    entry TEXT,
    decided_at TEXT
) STRICT;

CREATE INDEX undecided ON receptions (next_attempt) WHERE state = 'received';

-- Who pushed what: more than one may push the same.
CREATE TABLE senders (
    reception TEXT NOT NULL REFERENCES receptions (id) ON DELETE CASCADE,
    principal TEXT NOT NULL,
    PRIMARY KEY (reception, principal)
) STRICT;

-- What an Idempotency-Key was first used for. The key itself is a stranger's text: its hash stands for it.
CREATE TABLE keys (
    principal TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    reception TEXT NOT NULL,
    target TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (principal, key_hash)
) STRICT;

CREATE INDEX keys_by_age ON keys (created_at);
