-- The write-ahead part of the audit: entries that are not in the lake yet. Entries are never changed, and leave only
-- when the lake holds them. Times are UTC in ISO 8601 with microseconds, so that their order as text is their order in time.

CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    previous_hash TEXT NOT NULL,
    content TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;

-- One row: up to which entry the lake holds them, and at which version it came to do so.
CREATE TABLE stored (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    lake_version INTEGER
) STRICT;

-- One row: the latest time that was seen, which no permission may lie before.
CREATE TABLE clock (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    latest TEXT NOT NULL
) STRICT;

CREATE TRIGGER an_entry_never_changes BEFORE UPDATE ON entries
BEGIN
    SELECT raise(ABORT, 'an entry of the audit never changes');
END;

CREATE TRIGGER an_entry_stays_until_the_lake_holds_it BEFORE DELETE ON entries
WHEN old.seq > (SELECT seq FROM stored)
BEGIN
    SELECT raise(ABORT, 'an entry of the audit stays until the lake holds it');
END;

CREATE TRIGGER what_is_stored_stays_so BEFORE UPDATE ON stored WHEN new.seq < old.seq
BEGIN
    SELECT raise(ABORT, 'what the lake holds of the audit only grows');
END;
