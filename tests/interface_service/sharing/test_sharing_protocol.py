"""Delta Sharing as its protocol says it: lists in pages, versions, metadata, files, changes, and errors."""

from __future__ import annotations

import io
import json
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from sharing_desk import (
    ANOMALIES,
    ANOMALIES_URL,
    FIRST_DAY,
    OWNERS,
    SAMPLES,
    SECOND_DAY,
    TABLES,
    THIRD_DAY,
    SharingDesk,
    anomaly,
)

from omgov_assets.interface_service.problems import NOT_THERE
from omgov_assets.interface_service.sharing.shares import ShareStore

ABSENT = {"errorCode": "RESOURCE_DOES_NOT_EXIST", "message": NOT_THERE}


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson; charset=utf-8"
    return [json.loads(line) for line in answer.text.splitlines()]


def files(answer: httpx.Response, act: str = "file") -> list[dict[str, Any]]:
    return [line[act] for line in lines(answer)[2:]]


def rows(client: httpx.Client, file: dict[str, Any]) -> list[dict[str, Any]]:
    content = client.get(file["url"]).content
    assert len(content) == file["size"]
    table: pa.Table = pq.read_table(io.BytesIO(content))
    return table.to_pylist()


def test_what_is_offered_is_listed_by_share_schema_and_table(desk: SharingDesk) -> None:
    with ShareStore(desk.settings.shares) as store:
        store.create("Empty", desk.now)
        store.create("others", desk.now)
        store.add("quality", OWNERS, "People", "owners")
        store.grant("Empty", "steward")
    with desk.service() as asks:
        client = asks()
        shares = client.get("/sharing/shares").json()
        assert [share["name"] for share in shares["items"]] == ["Empty", "quality"]
        assert "nextPageToken" not in shares
        assert client.get("/sharing/shares/QUALITY").json() == {"share": shares["items"][1]}
        assert client.get("/sharing/shares/empty/schemas").json() == {"items": []}
        assert client.get(f"{TABLES}").json()["items"] == [
            {"name": "People", "share": "quality"},
            {"name": "quality", "share": "quality"},
        ]
        everything = client.get("/sharing/shares/quality/all-tables").json()["items"]
        assert [(table["schema"], table["name"], table["share"]) for table in everything] == [
            ("People", "owners", "quality"),
            ("quality", "anomalies", "quality"),
        ]
        assert client.get(f"{TABLES}/PEOPLE/tables").json()["items"] == everything[:1]
        assert {table["shareId"] for table in everything} == {shares["items"][1]["id"]}


def test_a_list_is_read_in_pages(desk: SharingDesk) -> None:
    with ShareStore(desk.settings.shares) as store:
        for number in range(5):
            store.add("quality", ANOMALIES, "numbered", f"t{number}")
    with desk.service() as asks:
        client, found, token = asks(), [], ""
        while True:
            page = client.get("/sharing/shares/quality/all-tables", params={"maxResults": 2, "pageToken": token}).json()
            found += [table["name"] for table in page["items"]]
            token = page.get("nextPageToken", "")
            if not token:
                break
            assert len(page["items"]) == 2
        assert found == ["t0", "t1", "t2", "t3", "t4", "anomalies"]
        none = client.get("/sharing/shares", params={"maxResults": 0}).json()
        assert none["items"] == []
        assert client.get("/sharing/shares", params={"pageToken": none["nextPageToken"]}).json()["items"]
        for wrong in (
            {"maxResults": -1},
            {"maxResults": 2**31},
            {"maxResults": "x"},
            {"pageToken": "?"},
            {"pageToken": "bm9uZQ=="},
        ):
            refused = client.get("/sharing/shares", params=wrong)
            assert refused.status_code == 400
            assert refused.json()["errorCode"] == "INVALID_PARAMETER_VALUE"


def test_a_share_never_widens_what_the_access_rules_permit(desk: SharingDesk) -> None:
    desk.fill(OWNERS, FIRST_DAY, [])
    with ShareStore(desk.settings.shares) as store:
        store.add("quality", OWNERS)
        store.add("quality", "no_such/table")
    with desk.service() as asks:
        client = asks("trading_department")
        tables = client.get("/sharing/shares/quality/all-tables").json()["items"]
        assert [table["name"] for table in tables] == ["anomalies"]
        for asked in (
            "/sharing/shares/nothing",
            "/sharing/shares/nothing/schemas",
            f"{TABLES}/cmdb/tables",
            f"{TABLES}/cmdb/tables/owners/version",
            f"{TABLES}/cmdb/tables/owners/metadata",
            f"{TABLES}/no_such/tables/table/metadata",
            f"{TABLES}/cmdb/tables/gone/metadata",
            f"{TABLES}/gone/tables/owners/metadata",
            f"{TABLES}/cmdb/tables/owners/changes?startingVersion=0",
        ):
            answer = client.get(asked)
            assert (answer.status_code, answer.json()) == (404, ABSENT), asked
        assert client.post(f"{TABLES}/cmdb/tables/owners/query", json={}).json() == ABSENT
        (file, *_) = files(client.post(f"{ANOMALIES_URL}/query", json={}))
        assert {row["system"] for row in rows(client, file)} == {"securities_trading"}
        steward = [table["name"] for table in asks().get("/sharing/shares/quality/all-tables").json()["items"]]
        assert steward == ["owners", "anomalies"]
    denied = [entry["dataset"] for entry in desk.record() if entry["decision"] == "deny"]
    assert {"sharing/nothing", "sharing/quality.cmdb", "sharing/quality.cmdb.gone", OWNERS} <= set(denied)


def test_a_token_opens_what_its_scope_names(desk: SharingDesk) -> None:
    with desk.service() as asks:
        for scope, found in (("share:quality/*", ["anomalies"]), ("share:cmdb/*", []), ("read", [])):
            client = asks(scope=scope)
            tables = client.get("/sharing/shares/quality/all-tables").json()["items"]
            assert [table["name"] for table in tables] == found
            assert client.get(f"{ANOMALIES_URL}/metadata").status_code == (200 if found else 404)


def test_what_is_taken_back_is_gone_at_once(desk: SharingDesk) -> None:
    with desk.service() as asks:
        client = asks()
        assert client.get(f"{ANOMALIES_URL}/version").status_code == 200
        with ShareStore(desk.settings.shares) as store:
            store.revoke("quality", "steward")
        assert client.get("/sharing/shares").json() == {"items": []}
        assert client.get(f"{ANOMALIES_URL}/version").json() == ABSENT


def test_whoever_proves_nothing_is_told_so_as_the_protocol_does(desk: SharingDesk) -> None:
    with desk.service() as asks:
        for client in (asks(None), asks()):
            if "authorization" in client.headers:
                client.headers["authorization"] += "x"
            answer = client.get("/sharing/shares")
            assert (answer.status_code, answer.json()["errorCode"]) == (401, "UNAUTHENTICATED")
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_metadata_says_columns_as_spark_types(desk: SharingDesk) -> None:
    with ShareStore(desk.settings.shares) as store:
        store.add("quality", SAMPLES)
        (samples,) = [table for table in store.tables("quality") if table.name == "metric_samples"]
    with desk.service() as asks:
        client = asks()
        answer = client.get(
            f"{TABLES}/securities_trading/tables/metric_samples/metadata",
            headers={"delta-sharing-capabilities": "responseformat=delta,parquet;readerfeatures=deletionvectors"},
        )
        protocol, metadata = lines(answer)
        assert protocol == {"protocol": {"minReaderVersion": 1}}
        assert answer.headers["delta-table-version"] == "0"
        assert answer.headers["delta-sharing-capabilities"] == "responseformat=parquet"
        said = metadata["metaData"]
        assert (said["id"], said["name"]) == (samples.id, "metric_samples")
        assert said["partitionColumns"] == ["day"]
        assert said["configuration"] == {"enableChangeDataFeed": "true"}
        fields = json.loads(said["schemaString"])["fields"]
        assert all(field["nullable"] for field in fields)
        types = {field["name"]: field["type"] for field in fields}
        assert types["day"] == "date"
        assert types["observed_at"] == "timestamp"
        assert types["value"] == "double"
        assert types["_record_no"] == "long"
        assert types["attributes"] == "string"
        fields = json.loads(lines(client.get(f"{ANOMALIES_URL}/metadata"))[1]["metaData"]["schemaString"])["fields"]
        types = {field["name"]: field["type"] for field in fields}
        assert types["in_trading_session"] == "boolean"
        assert types["policy_ids"] == {"type": "array", "elementType": "string", "containsNull": True}


def test_a_table_is_a_file_for_each_day_with_rows_in_sight(desk: SharingDesk) -> None:
    desk.fill(ANOMALIES, THIRD_DAY, [anomaly(9, "asset_management")])
    with desk.service() as asks:
        client = asks("trading_department")
        answer = client.post(f"{ANOMALIES_URL}/query", json={})
        found = files(answer)
        assert answer.headers["delta-table-version"] == str(desk.lake.version(ANOMALIES))
        assert [file["partitionValues"] for file in found] == [
            {"day": FIRST_DAY.isoformat()},
            {"day": SECOND_DAY.isoformat()},
        ]
        assert [json.loads(file["stats"]) for file in found] == [{"numRecords": 1}, {"numRecords": 2}]
        assert [row["anomaly_id"] for row in rows(client, found[1])] == ["a3", "a4"]
        assert {"version", "timestamp"}.isdisjoint(found[0])
        again = files(client.post(f"{ANOMALIES_URL}/query", json={}))
        assert [file["id"] for file in again] == [file["id"] for file in found]
        desk.fill(ANOMALIES, FIRST_DAY, [anomaly(1), anomaly(7, "asset_management")])
        seen = files(client.post(f"{ANOMALIES_URL}/query", json={}))
        # What changed out of sight changes nothing.
        assert [file["id"] for file in seen] == [file["id"] for file in found]


def test_hints_leave_out_what_is_certainly_not_wanted(desk: SharingDesk) -> None:
    column = {"op": "column", "name": "day", "valueType": "date"}
    literal = {"op": "literal", "value": SECOND_DAY.isoformat(), "valueType": "date"}
    cases: list[tuple[dict[str, Any], list[date]]] = [
        ({"jsonPredicateHints": json.dumps({"op": "equal", "children": [column, literal]})}, [SECOND_DAY]),
        ({"predicateHints": [f"day <= '{FIRST_DAY}'", "system = 'x'"]}, [FIRST_DAY]),
        ({"predicateHints": [f"day < '{FIRST_DAY}'"]}, []),
        ({"predicateHints": "day", "jsonPredicateHints": "{", "limitHint": "many"}, [FIRST_DAY, SECOND_DAY]),
        ({"predicateHints": [7, "; DROP"], "jsonPredicateHints": 7, "limitHint": -1}, [FIRST_DAY, SECOND_DAY]),
        ({"limitHint": 1}, [FIRST_DAY]),
        ({"limitHint": 3}, [FIRST_DAY, SECOND_DAY]),
        ({"limitHint": 0}, []),
    ]
    with desk.service() as asks:
        client = asks()
        for hints, days in cases:
            for version in ({}, {"version": desk.lake.version(ANOMALIES)}):
                found = files(client.post(f"{ANOMALIES_URL}/query", json=hints | version))
                assert [file["partitionValues"]["day"] for file in found] == [day.isoformat() for day in days], hints


def test_a_table_is_read_as_of_a_version_or_a_time(desk: SharingDesk) -> None:
    before = desk.lake.version(ANOMALIES)
    committed_at = desk.lake.commit_times(ANOMALIES)[before]
    desk.fill(ANOMALIES, SECOND_DAY, [anomaly(8)])
    zone = ZoneInfo("Asia/Shanghai")
    plain = (committed_at.astimezone(zone)).strftime("%Y-%m-%d %H:%M:%S.%f")
    with desk.service() as asks:
        client = asks()
        for asked in ({"version": before}, {"timestamp": plain}, {"timestamp": committed_at.isoformat()}):
            answer = client.post(f"{ANOMALIES_URL}/query", json=asked)
            assert answer.headers["delta-table-version"] == str(before)
            found = files(answer)
            assert lines(answer)[1]["metaData"]["version"] == before
            assert {file["version"] for file in found} == {before}
            assert {file["timestamp"] for file in found} == {int(committed_at.timestamp() * 1000)}
            assert [row["anomaly_id"] for row in rows(client, found[1])] == ["a3", "a4", "a5"]
        (_, last) = files(client.post(f"{ANOMALIES_URL}/query", json={}))
        assert [row["anomaly_id"] for row in rows(client, last)] == ["a8"]
        version = client.get(f"{ANOMALIES_URL}/version", params={"startingTimestamp": plain})
        assert version.headers["delta-table-version"] == str(before)
        assert client.head(ANOMALIES_URL).headers["delta-table-version"] == str(before + 1)
        for status, wrong in (
            (404, {"version": 99}),
            (404, {"timestamp": "2001-01-01 00:00:00"}),
            (400, {"timestamp": "yesterday"}),
            (400, {"version": -1}),
            (400, {"version": "1"}),
            (400, {"version": 1, "timestamp": plain}),
            (400, {"version": 1, "startingVersion": 0}),
        ):
            answer = client.post(f"{ANOMALIES_URL}/query", json=wrong)
            assert answer.status_code == status, wrong
            assert set(answer.json()) == {"errorCode", "message"}
        early = client.post(f"{ANOMALIES_URL}/query", json={"timestamp": "2001-01-01 08:00:00"}).json()["message"]
        first = min(desk.lake.commit_times(ANOMALIES).values())
        assert early == (
            "The table had no version by 2001-01-01 08:00:00.000+08:00 (without a zone, so in Asia/Shanghai) that can "
            f"be read; the first one is of {first.astimezone(zone).isoformat(' ', 'milliseconds')}."
        )
        # What it names can be asked for as it is written.
        named = client.post(f"{ANOMALIES_URL}/query", json={"timestamp": early.partition("is of ")[2].rstrip(".")})
        assert (named.status_code, named.headers["delta-table-version"]) == (200, "0")
        of_a_zone = client.post(f"{ANOMALIES_URL}/query", json={"timestamp": "2001-01-01T00:00:00Z"}).json()["message"]
        assert "by 2001-01-01 00:00:00.000+00:00 that can be read" in of_a_zone
        late = client.get(f"{ANOMALIES_URL}/version", params={"startingTimestamp": "2999-01-01 00:00:00"})
        assert late.status_code == 404
        assert (
            "since 2999-01-01 00:00:00.000+08:00 (without a zone, so in Asia/Shanghai); the last one is of "
            in (late.json()["message"])
        )


def test_changes_are_those_that_the_reader_sees(desk: SharingDesk) -> None:
    before = desk.lake.version(ANOMALIES)
    assert before is not None
    # Out of sight: no change.
    desk.fill(ANOMALIES, FIRST_DAY, [anomaly(1), anomaly(6, "asset_management")])
    # One goes, one comes.
    desk.fill(ANOMALIES, SECOND_DAY, [anomaly(4), anomaly(8), anomaly(5, "asset_management")])
    times = desk.lake.commit_times(ANOMALIES)
    with desk.service() as asks:
        client = asks("trading_department")
        answer = client.get(f"{ANOMALIES_URL}/changes", params={"startingVersion": before + 1})
        assert answer.headers["delta-table-version"] == str(before + 1)
        (file,) = files(answer, "cdf")
        assert (file["version"], file["timestamp"]) == (before + 2, int(times[before + 2].timestamp() * 1000))
        changed = rows(client, file)
        assert [(row["_change_type"], row["anomaly_id"]) for row in changed] == [("delete", "a3"), ("insert", "a8")]
        assert not {"_commit_version", "_commit_timestamp"} & set(changed[0])
        same = client.post(f"{ANOMALIES_URL}/query", json={"startingVersion": before + 1})
        assert [one["id"] for one in files(same, "cdf")] == [file["id"]]
        since = times[before + 1].isoformat()
        until = (times[before + 2] - timedelta(milliseconds=1)).isoformat()
        assert files(client.get(f"{ANOMALIES_URL}/changes", params={"startingTimestamp": since}), "cdf") != []
        nothing = {"startingTimestamp": since, "endingTimestamp": until}
        assert files(client.get(f"{ANOMALIES_URL}/changes", params=nothing), "cdf") == []
        for wrong in (
            {},
            {"startingVersion": before + 3},
            {"startingVersion": 2, "endingVersion": 1},
            {"startingVersion": 0, "startingTimestamp": since},
            {"startingVersion": 0, "endingVersion": 1, "endingTimestamp": since},
            {"startingVersion": -1},
        ):
            refused = client.get(f"{ANOMALIES_URL}/changes", params=wrong)
            assert (refused.status_code, refused.json()["errorCode"]) == (400, "INVALID_PARAMETER_VALUE"), wrong


def test_a_client_that_takes_delta_alone_is_given_actions_of_a_log(desk: SharingDesk) -> None:
    with desk.service() as asks:
        client = asks()
        delta = {"delta-sharing-capabilities": "responseFormat=DELTA;readerFeatures=deletionvectors"}
        answer = client.post(f"{ANOMALIES_URL}/query", json={}, headers=delta)
        assert answer.headers["delta-sharing-capabilities"] == "responseformat=delta"
        protocol, metadata, *found = lines(answer)
        assert protocol["protocol"]["deltaProtocol"]["minReaderVersion"] == 1
        assert metadata["metaData"]["deltaMetadata"]["partitionColumns"] == ["day"]
        action = found[0]["file"]["deltaSingleAction"]["add"]
        assert json.loads(action["stats"]) == {"numRecords": 2}
        assert client.get(action["path"]).status_code == 200


def test_a_body_that_is_no_json_is_a_malformed_request(desk: SharingDesk) -> None:
    with desk.service() as asks:
        client = asks()
        answer = client.post(f"{ANOMALIES_URL}/query", content=b"{", headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "INVALID_PARAMETER_VALUE")
        assert client.post(f"{ANOMALIES_URL}/query").status_code == 200


def test_every_answer_is_on_record_before_it_leaves(desk: SharingDesk) -> None:
    with desk.service() as asks:
        client = asks("trading_department")
        (first, _) = files(client.post(f"{ANOMALIES_URL}/query", json={}))
        rows(client, first)
    allowed = [entry for entry in desk.record() if entry["decision"] == "allow"]
    assert {entry["principal"] for entry in allowed} == {"trading_department"}
    assert any(entry["row_count"] == 3 and entry["dataset"] == ANOMALIES for entry in allowed)
    assert first["id"] in allowed[-1]["reason"]
