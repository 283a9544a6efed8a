"""What somebody with a SQL shell does to the audit's log."""

from __future__ import annotations

import sqlite3


def change_log(con: sqlite3.Connection, *statements: str) -> None:
    """Take away what keeps entries as they are, change them, and leave the log looking as before."""
    triggers = con.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        con.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        con.execute(statement)
    for _, sql in triggers:
        con.execute(sql)
