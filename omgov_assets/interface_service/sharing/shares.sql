-- What is offered to whom by Delta Sharing. It gives no right: what a principal sees of a table the access rules decide.
-- Names are compared without regard to case, as the protocol says.

CREATE TABLE shares (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    id TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE shared_tables (
    share TEXT NOT NULL COLLATE NOCASE REFERENCES shares (name),
    schema_name TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL COLLATE NOCASE,
    id TEXT NOT NULL UNIQUE,
    -- <folder>/<table>
    dataset TEXT NOT NULL,
    PRIMARY KEY (share, schema_name, name)
) STRICT;

CREATE TABLE recipients (
    share TEXT NOT NULL COLLATE NOCASE REFERENCES shares (name),
    principal TEXT NOT NULL,
    PRIMARY KEY (share, principal)
) STRICT;
