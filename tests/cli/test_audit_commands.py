"""``omgov audit`` and ``omgov access token`` by the real command line."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from audit_shell import change_log
from identity_provider import trusting
from typer.testing import CliRunner

from omgov_assets.access_control.audit_chain import Decision
from omgov_assets.access_control.audit_lake import open_log, store_entries
from omgov_assets.access_control.link_keys import LinkKeys
from omgov_assets.access_control.tokens import TokenRefusedError, TokenStore
from omgov_assets.cli import app, principal_names
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.model_management.governance import load_governance

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Desk:
    """Runs commands on a home."""

    def __init__(self, home: Path, project: Path) -> None:
        self.settings = Settings(home, project)
        self.lake = Lake(self.settings.lake, self.settings.dataset_contracts)

    def run(self, *arguments: str, code: int = 0) -> str:
        options = ("--home", str(self.settings.home), "--project", str(self.settings.project))
        done = CliRunner().invoke(app, [*arguments, *options])
        assert done.exit_code == code, done.output
        return done.output

    def rows(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        text = self.run(*arguments, "--format", "json", code=code)
        found: list[dict[str, Any]] = json.JSONDecoder().raw_decode(text[text.index("[") :])[0]
        return found

    def acts(self) -> list[tuple[str, str]]:
        """Who did what, by the log."""
        with open_log(self.lake, self.settings.audit) as log:
            fields = [entry.fields for entry in log.entries()]
        return [(entry["principal"], entry["reason"]) for entry in fields if entry["decision"] == "notice"]


@pytest.fixture
def desk(tmp_path: Path, project_root: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A home with six decisions on two days, four of them in the lake."""
    monkeypatch.setenv("OMGOV_AUDIT_KEY", "k" * 32)
    desk = Desk(tmp_path / "home", project_root)
    with open_log(desk.lake, desk.settings.audit) as log:
        for number in range(6):
            if number == 4:
                store_entries(desk.lake, log)
            log.record(
                Decision(
                    at=NOON + timedelta(hours=5 * number),
                    principal="li" if number % 2 else "=wang()",
                    dataset="quality/anomalies",
                    decision="deny" if number == 3 else "allow",
                    reason="because",
                    policy_hash="abc",
                    columns=("day", "owner_id"),
                    masks={"owner_id": "hmac"},
                    rows="all",
                )
            )
    return desk


def test_a_whole_chain_is_said_to_be_whole(desk: Desk) -> None:
    text = desk.run("audit", "verify")
    assert "the chain is whole" in text
    assert "4 entries in the lake, 2 in the log; head 6 " in text
    assert "only found with --anchors" in text


def test_an_empty_home_has_an_audit_without_entries(tmp_path: Path, project_root: Path) -> None:
    assert "0 entries in the lake, 0 in the log; head 0 " in Desk(tmp_path, project_root).run("audit", "verify")


def test_what_was_tampered_with_is_listed_and_fails(desk: Desk) -> None:
    with open_log(desk.lake, desk.settings.audit) as log:
        change_log(log.con, "UPDATE entries SET content = replace(content, 'wang', 'zhao')")
    rows = desk.rows("audit", "verify", code=1)
    assert [(row["place"], row["seq"], row["fault"]) for row in rows] == [("log", 5, "altered")]
    assert "entry 5 is not what was written" in desk.run("audit", "anchor", "--to", "anchors", code=1)
    assert "verify" in desk.run("audit", "store", code=1)
    assert "verify" in desk.run(
        "audit", "export", "--as", "auditor", "--out", str(desk.settings.home / "x.csv"), code=1
    )
    assert not list(desk.settings.home.glob("*x.csv*"))


def test_anchors_find_a_chain_that_was_cut(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anchors = tmp_path / "elsewhere" / "anchors.jsonl"
    assert "entry 6 is anchored" in desk.run("audit", "anchor", "--to", str(anchors))
    assert desk.rows("audit", "verify", "--anchors", str(anchors)) == []
    with open_log(desk.lake, desk.settings.audit) as log:
        change_log(log.con, "DELETE FROM entries WHERE seq = 6")
    (desk.settings.audit / "head").unlink()
    assert desk.rows("audit", "verify") == []
    assert [row["fault"] for row in desk.rows("audit", "verify", "--anchors", str(anchors), code=1)] == ["truncated"]
    desk.run("audit", "anchor", "--to", str(anchors), code=1)
    assert len(anchors.read_text().splitlines()) == 1
    monkeypatch.setenv("OMGOV_AUDIT_KEY", "x" * 32)
    rows = desk.rows("audit", "verify", "--anchors", str(anchors), code=1)
    assert [row["fault"] for row in rows] == ["forged"]
    monkeypatch.delenv("OMGOV_AUDIT_KEY")
    assert "OMGOV_AUDIT_KEY" in desk.run("audit", "verify", "--anchors", str(anchors), code=1)
    assert "OMGOV_AUDIT_KEY" in desk.run("audit", "anchor", "--to", str(anchors), code=1)
    assert "anchors cannot be read" in desk.run("audit", "verify", "--anchors", "nowhere", code=1)


def exported(desk: Desk, suffix: str, *filters: str) -> list[dict[str, Any]]:
    out = desk.settings.home / f"audit{suffix}"
    desk.run("audit", "export", "--as", "auditor", "--out", str(out), *filters)
    if suffix == ".csv":
        with out.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    if suffix == ".json":
        loaded: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))
        return loaded
    read: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return read


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_entries_of_lake_and_log_are_exported(desk: Desk, suffix: str) -> None:
    rows = exported(desk, suffix)
    assert [int(row["seq"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[0]["principal"] == ("'=wang()" if suffix == ".csv" else "=wang()")
    assert rows[0]["columns"] == ("day, owner_id" if suffix == ".csv" else ["day", "owner_id"])
    assert rows[0]["masks"] == '{"owner_id":"hmac"}'
    with open_log(desk.lake, desk.settings.audit) as log:
        (entry,) = (entry.fields for entry in log.entries())
    assert (entry["principal"], entry["dataset"], entry["row_count"]) == ("auditor", "audit/access", 6)
    assert desk.rows("audit", "verify") == []


def test_the_audit_leaves_for_those_alone_who_may_read_it(desk: Desk) -> None:
    out = desk.settings.home / "x.csv"
    assert "may not read audit/access" in desk.run("audit", "export", "--as", "steward", "--out", str(out), code=2)
    assert not out.exists()
    with open_log(desk.lake, desk.settings.audit) as log:
        *_, last = (entry.fields for entry in log.entries())
    assert (last["principal"], last["decision"]) == ("steward", "deny")
    assert last["reason"] == "forbidden by audit-is-for-compliance"


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (["--from", "2026-11-21", "--to", "2026-11-21"], [4, 5, 6]),
        (["--to", "2026-11-20"], [1, 2, 3]),
        (["--principal", "li"], [2, 4, 6]),
        (["--principal", "li' OR 'a' = 'a"], []),
        (["--decision", "deny"], [4]),
        (["--decision", "allow", "--principal", "li", "--from", "2026-11-21"], [6]),
        (["--dataset", "quality/anomalies"], [1, 2, 3, 4, 5, 6]),
        (["--dataset", "cmdb/owners"], []),
    ],
)
def test_an_export_holds_what_was_asked_for(desk: Desk, filters: list[str], numbers: list[int]) -> None:
    assert [row["seq"] for row in exported(desk, ".json", *filters)] == numbers


def test_an_export_that_cannot_be_says_why(desk: Desk) -> None:
    assert ".parquet" in desk.run("audit", "export", "--as", "auditor", "--out", "x.pdf", code=1)
    assert "maybe" in desk.run("audit", "export", "--as", "auditor", "--out", "x.csv", "--decision", "maybe", code=1)
    out = desk.settings.home / "nowhere" / "x.csv"
    assert "cannot be written" in desk.run("audit", "export", "--as", "auditor", "--out", str(out), code=1)


def test_the_log_is_moved_into_the_lake(desk: Desk) -> None:
    assert "2 entries moved" in desk.run("audit", "store")
    assert "0 entries moved" in desk.run("audit", "store")
    assert "6 entries in the lake, 0 in the log" in desk.run("audit", "verify")


def test_a_lost_log_is_gone_on_without_on_record(desk: Desk) -> None:
    (desk.settings.audit / "audit.db").unlink()
    assert "recover" in desk.run("audit", "store", code=1)
    assert "goes on with entry 5" in desk.run("audit", "recover", "--as", "an", "--reason", "disk broke")
    assert desk.acts() == [("an", "log lost, goes on after entry 4: disk broke")]
    assert "move it away" in desk.run("audit", "recover", "--as", "an", "--reason", "again", code=1)


def test_a_clock_is_accepted_on_record(desk: Desk) -> None:
    desk.run("audit", "accept-clock", "--as", "an", "--reason", "it was ahead")
    assert desk.acts() == [("an", "clock accepted: it was ahead")]


def test_a_token_is_printed_once_and_works_until_it_is_revoked(desk: Desk) -> None:
    create = ("access", "token", "create", "--principal", "steward", "--scope", "read:quality/*", "--as", "an")
    (made,) = desk.rows(*create)
    now = datetime.now(UTC)
    with TokenStore(desk.settings.tokens) as store:
        assert store.authenticate(made["token"], now).principal == "steward"
    (listed,) = desk.rows("access", "token", "list")
    assert made["token"] not in json.dumps(listed)
    assert (listed["state"], listed["scope"], listed["last_used_day"]) == (
        "active", "read:quality/*", now.date().isoformat(),
    )  # fmt: skip

    (rotated,) = desk.rows("access", "token", "rotate", made["token_id"], "--overlap", "1h", "--as", "an")
    assert [row["state"] for row in desk.rows("access", "token", "list")] == ["rotated", "active"]
    desk.run("access", "token", "revoke", made["token_id"], "--as", "an", "--reason", "left the firm")
    with TokenStore(desk.settings.tokens) as store:
        store.authenticate(rotated["token"], datetime.now(UTC))
        with pytest.raises(TokenRefusedError, match="revoked"):
            store.authenticate(made["token"], datetime.now(UTC))
    assert [row["token_id"] for row in desk.rows("access", "token", "list")] == [rotated["token_id"]]
    assert len(desk.rows("access", "token", "list", "--all", "--principal", "steward")) == 2
    desk.run("access", "token", "accept-clock", "--as", "an", "--reason", "it was ahead")
    acts = desk.acts()
    assert acts == [
        ("an", "token made for steward: read:quality/*"),
        ("an", f"token {made['token_id']} rotated, overlap 1h"),
        ("an", f"token {made['token_id']} revoked: left the firm"),
        ("an", "clock accepted for tokens: it was ahead"),
    ]
    assert made["token"] not in json.dumps(acts)


def test_a_token_on_a_terminal_is_one_line_of_output(desk: Desk) -> None:
    done = desk.run("access", "token", "create", "--principal", "steward", "--scope", "read", "--as", "an")
    assert done.splitlines()[0].startswith("omgov_")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create", "--principal", "steward", "--scope", "everything", "--as", "an"], "everything"),
        (
            ["create", "--principal", "stewrad", "--scope", "read", "--as", "an"],
            "stewrad: no such principal; did you mean steward?",
        ),
        (
            ["create", "--principal", "ghost", "--scope", "read", "--as", "an"],
            "no such principal; the access rules name auditor, ",
        ),
        (["create", "--principal", "steward", "--scope", "read", "--expires-in", "soon", "--as", "an"], "soon"),
        (["create", "--principal", "steward", "--scope", "read", "--expires-in", "0s", "--as", "an"], "366 days"),
        (["rotate", "000000000000", "--as", "an"], "no such token"),
        (["revoke", "000000000000", "--as", "an", "--reason", "x"], "no such token"),
    ],
)
def test_what_cannot_be_done_to_tokens_is_said(desk: Desk, arguments: list[str], says: str) -> None:
    assert says in desk.run("access", "token", *arguments, code=1)


def test_a_principal_of_an_identity_provider_gets_no_token_of_the_home(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = trusting(load_governance(desk.settings.project).access)
    monkeypatch.setattr(principal_names, "_rules", lambda *_: rules)
    said = desk.run("access", "token", "create", "--principal", "firm:4711", "--scope", "read", "--as", "an", code=1)
    assert "firm:4711: its tokens are its identity provider's" in said
    desk.run("share", "create", "firm", "--as", "an")
    desk.run("share", "grant", "firm", "firm:4711", "--as", "an")


def test_nothing_is_done_to_tokens_where_the_audit_cannot_be_written(desk: Desk) -> None:
    (desk.settings.audit / "audit.db").write_bytes(b"no database" * 1000)
    said = desk.run("access", "token", "create", "--principal", "steward", "--scope", "read", "--as", "an", code=1)
    assert "without the audit no data leaves" in said
    assert desk.rows("access", "token", "list", "--all") == []


def test_the_key_of_links_is_replaced_and_that_is_on_record(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = LinkKeys(desk.settings.link_keys)
    first = keys.all()[0].secret
    desk.run("access", "link-key", "rotate", "--as", "li")
    assert [key.secret for key in keys.all()][1:] == [first]
    desk.run("access", "link-key", "rotate", "--as", "li", "--compromised")
    (only,) = keys.all()
    assert only.secret != first
    said = "link key replaced; links of the former one are void"
    assert desk.acts() == [("li", "link key replaced"), ("li", said)]
    monkeypatch.setenv("OMGOV_LINK_KEY", "ab" * 32)
    assert "OMGOV_LINK_KEY" in desk.run("access", "link-key", "rotate", "--as", "li", code=1)
