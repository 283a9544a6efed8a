"""``omgov share``: each act is on record, and a profile is its owner's alone."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from omgov_assets.access_control.audit_lake import open_log
from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.cli.share import share_app
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings

AS = ("--as", "engineer")


class Commands:
    def __init__(self, home: Path, project: Path) -> None:
        self.settings = Settings(home, project)

    def __call__(self, *arguments: str) -> Result:
        folders = ["--home", str(self.settings.home), "--project", str(self.settings.project)]
        return CliRunner().invoke(share_app, [*arguments, *folders])

    def record(self) -> list[dict[str, Any]]:
        lake = Lake(self.settings.lake, self.settings.dataset_contracts)
        with open_log(lake, self.settings.audit) as log:
            return [entry.fields for entry in log.entries()]


@pytest.fixture
def share(tmp_path: Path, project_root: Path) -> Commands:
    return Commands(tmp_path / "home", project_root)


def test_shares_are_made_filled_offered_and_taken_back(share: Commands) -> None:
    assert json.loads(share("list", "--format", "json").stdout) == []
    for arguments in (
        ("create", "firm"),
        ("add", "firm", "quality/anomalies"),
        ("add", "firm", "cmdb/owners", "--as-table", "people.owners"),
        ("grant", "firm", "steward"),
    ):
        done = share(*arguments, *AS)
        assert done.exit_code == 0, done.output
    rows = json.loads(share("list", "--format", "json").stdout)
    assert [(row["table"], row["dataset"], row["offered_to"]) for row in rows] == [
        ("people.owners", "cmdb/owners", "steward"),
        ("quality.anomalies", "quality/anomalies", "steward"),
    ]
    assert share("remove", "firm", "people.owners", *AS).exit_code == 0
    assert share("revoke", "firm", "steward", *AS).exit_code == 0
    (row,) = json.loads(share("list", "--format", "json").stdout)
    assert row["offered_to"] is None
    record = share.record()
    assert [(entry["principal"], entry["dataset"], entry["decision"]) for entry in record] == [
        ("engineer", "access/shares", "notice")
    ] * 6
    assert record[3]["reason"] == "share firm offered to steward"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "a.b"), "cannot be the name of a share"),
        (("add", "gone", "quality/anomalies"), "gone: no such share"),
        (("add", "gone", "no/such"), "no data contract describes table"),
        (("add", "gone", "quality/anomalies", "--as-table", "x"), "write SCHEMA.TABLE"),
        (("grant", "gone", "ghost"), "ghost: no such principal; the access rules name auditor"),
        (("grant", "gone", "stewrad"), "stewrad: no such principal; did you mean steward?"),
        (("revoke", "gone", "steward"), "gone: no such share"),
    ],
)
def test_what_cannot_be_is_a_sentence(share: Commands, arguments: tuple[str, ...], said: str) -> None:
    done = share(*arguments, *AS)
    assert done.exit_code == 1
    assert said in done.stderr


def test_a_profile_holds_a_token_for_sharing_and_nothing_else(share: Commands, tmp_path: Path) -> None:
    out = tmp_path / "steward.share"
    arguments = ["profile", "steward", "--out", str(out), "--expires", "30", "--url", "https://omgov.example.com/x/"]
    done = share(*arguments, *AS)
    assert done.exit_code == 0, done.output
    profile = json.loads(out.read_text(encoding="utf-8"))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert (profile["shareCredentialsVersion"], profile["endpoint"]) == (1, "https://omgov.example.com/x/sharing")
    with TokenStore(share.settings.tokens) as tokens:
        token = tokens.authenticate(profile["bearerToken"], datetime.now(UTC))
    assert (token.principal, token.scope) == ("steward", ("share",))
    assert timedelta(days=29) < token.expires_at - datetime.now(UTC) <= timedelta(days=30)
    assert datetime.fromisoformat(profile["expirationTime"]) == token.expires_at.replace(microsecond=0)
    assert profile["bearerToken"] not in done.output
    assert profile["bearerToken"] not in json.dumps(share.record())
    assert "token made for steward: share" in share.record()[-1]["reason"]
    again = share(*arguments, *AS)
    assert again.exit_code == 1
    assert "name a file that does not exist yet" in again.stderr
    assert json.loads(out.read_text(encoding="utf-8")) == profile


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("steward", "--url", "omgov.example.com"), "write it as https://"),
        (("steward", "--url", "https://omgov.example.com/?x=1"), "write it as https://"),
        (("steward", "--url", "https://omgov.example.com/sharing/"), "write it without /sharing"),
        (("steward", "--url", "https://steward@omgov.example.com"), "write it as https://"),
        (("ghost",), "ghost: no such principal; the access rules name auditor"),
        (("stewrad",), "stewrad: no such principal; did you mean steward?"),
        (("steward", "--dataset", "a b"), "scope share:a b"),
    ],
)
def test_a_profile_that_cannot_be_leaves_no_file(
    share: Commands, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    out = tmp_path / "none.share"
    done = share("profile", *arguments, "--out", str(out), "--expires", "1", *AS)
    assert done.exit_code == 1
    assert said in done.stderr
    assert not out.exists()
