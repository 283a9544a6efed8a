"""The official client of Delta Sharing reads what its principal may, over a real socket, with a profile of the CLI."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from delta_sharing_client import DeltaSharingClient, installed_client
from sharing_desk import ANOMALIES, FIRST_DAY, OWNERS, SAMPLES, SECOND_DAY, THIRD_DAY, SharingDesk, anomaly
from typer.testing import CliRunner

from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.cli.commands import app


@pytest.fixture(scope="session")
def client() -> DeltaSharingClient:
    return installed_client()


def omgov(desk: SharingDesk, *arguments: str) -> None:
    folders = ["--home", str(desk.settings.home), "--project", str(desk.settings.project)]
    done = CliRunner().invoke(app, [*arguments, *folders])
    assert done.exit_code == 0, done.output


@dataclass(frozen=True)
class Served:
    """A desk whose service runs; ``versions`` of anomalies before and after a change."""

    desk: SharingDesk
    url: str
    versions: tuple[int, int]

    def profile(self, principal: str, *more: str) -> str:
        """A profile file of a principal."""
        out = self.desk.settings.home / f"{principal}-{time.monotonic_ns()}.share"
        options = ["--out", str(out), "--expires", "30", "--as", "engineer", "--url", self.url, *more]
        omgov(self.desk, "share", "profile", principal, *options)
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        return str(out)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[Served]:
    desk = SharingDesk(tmp_path_factory.mktemp("shared") / "home", project_root)
    desk.fill(ANOMALIES, FIRST_DAY, [anomaly(1), anomaly(2, "asset_management")])
    before = desk.fill(ANOMALIES, SECOND_DAY, [anomaly(3), anomaly(4), anomaly(5, "asset_management")])
    time.sleep(1.1)  # times of the protocol may be whole seconds
    desk.fill(ANOMALIES, SECOND_DAY, [anomaly(4), anomaly(6), anomaly(7, "asset_management")])
    after = desk.fill(ANOMALIES, THIRD_DAY, [anomaly(8, "asset_management")])
    seen_at = datetime(2026, 11, 20, 1, 2, 3, 456789, UTC)
    sample = {
        "system": "securities_trading",
        "instance_id": "i",
        "source_metric": "m",
        "ci_id": "c",
        "attributes": '{"disk":"/"}',
        "observed_at": seen_at,
        "metric": "app.availability",
        "_batch_id": "b",
    }
    desk.fill(SAMPLES, FIRST_DAY, [sample | {"value": 0.25, "_record_no": 2**53 + 1}, sample | {"_record_no": 1}])
    owner = {"system": "cmdb", "owner_id": "o1", "active": True, "_batch_id": "b", "_record_no": 1}
    desk.fill(OWNERS, FIRST_DAY, [owner | {"name": "Ann Lee", "email": "ann@example.com", "phone": "1"}])
    omgov(desk, "share", "create", "firm", "--as", "engineer")
    for dataset in (ANOMALIES, SAMPLES, OWNERS):
        omgov(desk, "share", "add", "firm", dataset, "--as", "engineer")
    for principal in ("steward", "trading_department"):
        omgov(desk, "share", "grant", "firm", principal, "--as", "engineer")
    with desk.service() as asks:
        yield Served(desk, str(asks(None).base_url).rstrip("/"), (before, after))


def test_tables_are_listed_and_read(client: DeltaSharingClient, served: Served) -> None:
    told: dict[str, Any] = client.run(
        """
sharing = delta_sharing.SharingClient(profile)
anomalies, samples, owners = (f"{profile}#firm.{name}" for name in
    ("quality.anomalies", "securities_trading.metric_samples", "cmdb.owners"))
everything = delta_sharing.load_as_pandas(anomalies)
of_samples = delta_sharing.load_as_pandas(samples)
say(
    shares=[share.name for share in sharing.list_shares()],
    schemas=[schema.name for schema in sharing.list_schemas(Share("firm"))],
    tables=[table.name for table in sharing.list_tables(Schema("quality", "firm"))],
    all_tables=sorted(table.name for table in sharing.list_all_tables()),
    version=delta_sharing.get_table_version(anomalies),
    metadata=json.loads(delta_sharing.get_table_metadata(anomalies, use_delta_format=False).schema_string),
    everything=rows(everything, "day", "anomaly_id", "policy_ids", "in_trading_session", "tier", "first_seen_day"),
    samples=rows(of_samples, "observed_at", "value", "attributes"),
    numbers=[str(number) for number in of_samples["_record_no"]],
    owners=rows(delta_sharing.load_as_pandas(owners)),
    limited=[len(delta_sharing.load_as_pandas(anomalies, limit=limit)) for limit in (0, 1, 4, 100)],
    batches=rows(delta_sharing.load_as_pandas(anomalies, convert_in_batches=True), "anomaly_id"),
)
""",
        profile=served.profile("steward"),
    )
    assert told["shares"] == ["firm"]
    assert told["schemas"] == ["cmdb", "quality", "securities_trading"]
    assert told["tables"] == ["anomalies"]
    assert told["all_tables"] == ["anomalies", "metric_samples", "owners"]
    assert told["version"] == served.versions[1]
    assert told["metadata"]["type"] == "struct"
    everything = told["everything"]
    assert [row["anomaly_id"] for row in everything] == ["a1", "a2", "a4", "a6", "a7", "a8"]
    first = everything[0]
    assert (first["policy_ids"], first["in_trading_session"], first["tier"]) == (["p1", "p2"], False, 1)
    assert first["day"].startswith("2026-11-18")
    assert first["first_seen_day"].startswith("2026-11-18")
    assert told["limited"] == [0, 1, 4, 6]
    assert told["batches"] == [{"anomaly_id": row["anomaly_id"]} for row in everything]
    assert sorted(told["numbers"]) == sorted(["1", str(2**53 + 1)])
    assert {row["value"] for row in told["samples"]} == {0.25, None}
    assert all(row["observed_at"].startswith("2026-11-20T01:02:03.456") for row in told["samples"])
    (owner,) = told["owners"]
    assert owner["name"] == "Ann Lee"
    assert owner["email"] == "a***"
    assert len(owner["phone"]) == 32


def test_versions_times_changes_and_hints(client: DeltaSharingClient, served: Served) -> None:
    before, after = served.versions
    committed_at = served.desk.lake.commit_times(ANOMALIES)[before]
    told: dict[str, Any] = client.run(
        """
table = f"{profile}#firm.quality.anomalies"
ids = lambda frame: list(frame["anomaly_id"])
changes = delta_sharing.load_table_changes_as_pandas(table, starting_version=before + 1)
def day(op):
    column = {"op": "column", "name": "day", "valueType": "date"}
    return json.dumps({"op": op, "children": [column, {"op": "literal", "value": "2026-11-19", "valueType": "date"}]})
say(
    now=ids(delta_sharing.load_as_pandas(table)),
    version=ids(delta_sharing.load_as_pandas(table, version=before)),
    timestamp=ids(delta_sharing.load_as_pandas(table, timestamp=at)),
    since=delta_sharing.get_table_version(table, starting_timestamp=at),
    hinted=ids(delta_sharing.load_as_pandas(table, jsonPredicateHints=day("equal"))),
    none=ids(delta_sharing.load_as_pandas(table, jsonPredicateHints=day("greaterThan"))),
    malformed=ids(delta_sharing.load_as_pandas(table, jsonPredicateHints="{")),
    changes=rows(changes, "anomaly_id", "_change_type", "_commit_version", "_commit_timestamp"),
    all_changes=len(delta_sharing.load_table_changes_as_pandas(table, starting_version=0, ending_version=before)),
    timed=len(delta_sharing.load_table_changes_as_pandas(table, starting_timestamp=later)),
    nothing=list(delta_sharing.load_table_changes_as_pandas(table, starting_version=after).columns)[-3:],
)
""",
        profile=served.profile("trading_department"),
        before=before,
        after=after,
        at=committed_at.isoformat(),
        later=(committed_at + timedelta(seconds=1)).isoformat(timespec="seconds"),
    )
    assert told["now"] == ["a1", "a4", "a6"]
    assert told["version"] == told["timestamp"] == ["a1", "a3", "a4"]
    assert told["since"] == before
    assert told["hinted"] == ["a4", "a6"]
    assert told["none"] == []
    assert told["malformed"] == told["now"]
    times = served.desk.lake.commit_times(ANOMALIES)
    at_ms = int(times[before + 1].timestamp() * 1000)
    assert told["changes"] == [
        {"anomaly_id": name, "_change_type": kind, "_commit_version": before + 1, "_commit_timestamp": at_ms}
        for name, kind in (("a3", "delete"), ("a6", "insert"))
    ]
    assert told["all_changes"] == 3
    assert told["timed"] == 2
    assert told["nothing"] == ["_change_type", "_commit_version", "_commit_timestamp"]


def test_readers_of_delta_logs_are_given_the_same(client: DeltaSharingClient, served: Served) -> None:
    told: dict[str, Any] = client.run(
        """
table = f"{profile}#firm.quality.anomalies"
frame = delta_sharing.load_as_pandas(table, use_delta_format=True)
changes = delta_sharing.load_table_changes_as_pandas(table, starting_version=before + 1, use_delta_format=True)
say(
    now=rows(frame.sort_values("anomaly_id"), "anomaly_id", "day", "tier"),
    changes=sorted(rows(changes, "anomaly_id", "_change_type", "_commit_version"), key=lambda row: row["anomaly_id"]),
)
""",
        profile=served.profile("trading_department"),
        before=served.versions[0],
    )
    assert [(row["anomaly_id"], row["tier"]) for row in told["now"]] == [("a1", 1), ("a4", 4), ("a6", 6)]
    assert told["changes"] == [
        {"anomaly_id": name, "_change_type": kind, "_commit_version": served.versions[0] + 1}
        for name, kind in (("a3", "delete"), ("a6", "insert"))
    ]


def test_a_profile_that_is_worth_nothing_fails_at_once(client: DeltaSharingClient, served: Served) -> None:
    revoked, expired, narrow = (served.profile("steward", *more) for more in ((), (), ("--dataset", "cmdb/*")))
    with TokenStore(served.desk.settings.tokens) as tokens:
        text = json.loads(Path(revoked).read_text(encoding="utf-8"))["bearerToken"]
        tokens.revoke(text.split("_")[1], datetime.now(UTC))
        short, _ = tokens.create("steward", ["share"], datetime.now(UTC), timedelta(seconds=1))
    profile = json.loads(Path(expired).read_text(encoding="utf-8")) | {"bearerToken": short}
    Path(expired).write_text(json.dumps(profile), encoding="utf-8")
    time.sleep(1.1)
    told: dict[str, Any] = client.run(
        """
import time
from requests.exceptions import HTTPError
said = {}
for name, profile in profiles.items():
    began = time.monotonic()
    try:
        delta_sharing.load_as_pandas(f"{profile}#firm.quality.anomalies")
    except HTTPError as error:
        said[name] = [error.response.status_code, error.response.json(), time.monotonic() - began]
say(**said)
""",
        profiles={"revoked": revoked, "expired": expired, "narrow": narrow},
    )
    assert [(name, said[0]) for name, said in told.items()] == [("revoked", 401), ("expired", 401), ("narrow", 404)]
    for _, said, seconds in told.values():
        assert set(said) == {"errorCode", "message"}
        assert seconds < 5, "it asked again and again"
