"""Rows by REST: pages are the whole, filters are what a loop over the rows says, and no question is misread."""

from __future__ import annotations

import json
import math
import operator
import random
import resource
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pyarrow as pa
import pytest
from fastapi import Request
from odd_rows import ANOMALIES, DAY, INSTANCES, NEXT_DAY, OWNERS, ROWS, Odd, instance, odd_home, write
from served import opener, served, token_of
from service_process import served_by_process

from omgov_assets.access_control.audit_log import AuditLog
from omgov_assets.access_control.governed_pages import PageQuestion
from omgov_assets.data_lake.lake import Lake
from omgov_assets.interface_service.limits import Limits
from omgov_assets.interface_service.rest.rows import address

Row = dict[str, Any]
PATH = f"/v1/datasets/{INSTANCES}/rows"


def door_rows(odd: Odd) -> list[Row]:
    rows: list[Row] = odd.door.page(odd.door.principal("steward"), INSTANCES, PageQuestion(size=1000)).rows.to_pylist()
    assert len(rows) == ROWS
    return rows


def paged(odd: Odd, query: list[tuple[str, str]]) -> list[Row]:
    """All rows, page by page, by the addresses that the answers give."""
    rows: list[Row] = []
    answer = odd.client.get(PATH, params=query)
    for _ in range(100):
        assert answer.status_code == 200, answer.text
        told = answer.json()
        rows += told["rows"]
        if told["next"] is None:
            assert "link" not in answer.headers
            return rows
        assert answer.headers["link"] == f'<{told["next"]}>; rel="next"'
        assert 0 < len(told["rows"]) <= int(dict(query)["limit"])
        answer = odd.client.get(told["next"])
    raise AssertionError("it never ends")


def order_key(value: Any) -> Any:
    # To DuckDB no number is the greatest one, and 0.0 and -0.0 are the same.
    return (math.isnan(value), 0.0 if math.isnan(value) else value) if isinstance(value, float) else value


def in_order(rows: list[Row], sort: str) -> list[Row]:
    for name in reversed(sort.split(",") if sort else []):
        column = name.removeprefix("-")
        some = [row for row in rows if row[column] is not None]
        # Equals stay in their order, as they do in the service.
        some.sort(key=lambda row: order_key(row[column]), reverse=name.startswith("-"))
        rows = some + [row for row in rows if row[column] is None]
    return rows


@pytest.mark.parametrize(
    "sort",
    ["", "metric", "-interval_s", "value_mean,-ci_id", "-value_mean", "-last_seen_at,unit", "unit", "-day,metric"],
)
@pytest.mark.parametrize("size", [1, 7, 60])
def test_pages_are_the_whole_whatever_the_order(odd: Odd, sort: str, size: int) -> None:
    if size == 1 and sort not in ("", "value_mean,-ci_id"):
        return
    sorting = [("sort", sort)] if sort else []
    expected = [row["instance_id"] for row in in_order(door_rows(odd), sort)]
    assert [row["instance_id"] for row in paged(odd, [("limit", str(size)), *sorting])] == expected
    whole = odd.client.get(PATH, params=[("limit", "all"), *sorting]).json()
    assert [row["instance_id"] for row in whole["rows"]] == expected


def test_pages_keep_columns_and_conditions(odd: Odd) -> None:
    query = [("limit", "4"), ("column", "unit"), ("column", "instance_id"), ("where", "interval_s:not-null"),
             ("where", "ci_id:in:ci-1,ci-2"), ("sort", "-unit")]  # fmt: skip
    expected = in_order(
        [row for row in door_rows(odd) if row["interval_s"] is not None and row["ci_id"] in ("ci-1", "ci-2")], "-unit"
    )
    rows = paged(odd, query)
    assert rows == [{"unit": row["unit"], "instance_id": row["instance_id"]} for row in expected]
    assert list(rows[0]) == ["unit", "instance_id"]


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
VALUES: dict[str, list[tuple[str, Any]]] = {
    "unit": [("a:b", "a:b"), ("", ""), ("王芳", "王芳"), ("=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0")],
    "interval_s": [("9007199254740993", 2**53 + 1), ("-9223372036854775808", -(2**63)), ("+7", 7)],
    "value_mean": [("0.1", 0.1), ("-0", -0.0), ("1e300", 1e300), ("2.5", 2.5)],
    "day": [("2026-11-20", DAY), ("2026-11-23", NEXT_DAY)],
    "last_seen_at": [
        ("2026-11-20T09:02:03.000004+08:00", datetime(2026, 11, 20, 1, 2, 3, 4, UTC)),
        ("1970-01-01T00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
}


@pytest.mark.parametrize("column", VALUES)
def test_a_filter_is_what_a_loop_over_the_rows_says(odd: Odd, column: str) -> None:
    rows = door_rows(odd)

    def chosen(condition: str) -> list[str]:
        query = [("where", condition), ("limit", "1000"), ("column", "instance_id")]
        answer = odd.client.get(PATH, params=query)
        assert answer.status_code == 200, answer.text
        return [row["instance_id"] for row in answer.json()["rows"]]

    def meant(holds: Callable[[Any], bool]) -> list[str]:
        return [row["instance_id"] for row in rows if holds(row[column])]

    for text, value in VALUES[column]:
        for name, compare in OPERATORS.items():
            holds = [
                row for row in rows if row[column] is not None and compare(order_key(row[column]), order_key(value))
            ]
            assert chosen(f"{column}:{name}:{text}") == [row["instance_id"] for row in holds], (name, text)
    quoted = ",".join(f'"{text}"' for text, _ in VALUES[column])
    assert chosen(f"{column}:in:{quoted}") == meant(lambda one: one in [value for _, value in VALUES[column]])
    assert chosen(f"{column}:null") == meant(lambda one: one is None)
    assert chosen(f"{column}:not-null") == meant(lambda one: one is not None)


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("limt=3", "unknown_parameter", "Did you mean limit?"),
        ("Limit=3", "unknown_parameter", "there are day, version"),
        ("limit=3&limit=4", "repeated_parameter", "once"),
        ("limit=0", "bad_limit", "1 to 10000"),
        ("limit=10001", "bad_limit", "1 to 10000"),
        ("limit=%31%30x", "bad_limit", "1 to 10000"),
        ("limit=", "bad_limit", "1 to 10000"),
        ("limit=all&cursor=x", "bad_limit", "cursor"),
        ("day=2026-02-30", "bad_day", "2026-11-20"),
        ("day=20261120", "bad_day", "2026-11-20"),
        ("version=-1", "bad_version", "0 or more"),
        ("sort=day,-day", "bad_sort", "each once"),
        ("sort=", "bad_sort", "such as"),
        ("sort=nothing", "bad_question", "no column 'nothing'"),
        ("column=nothing", "bad_question", "no column 'nothing'"),
        ("column=day&column=day", "bad_question", "once"),
        ("where=nothing:eq:1", "bad_question", "no column 'nothing'"),
        ("where=day", "bad_filter", "column:operator:value"),
        ("where=day:like:x", "bad_filter", "operators are eq"),
        ("where=day:eq", "bad_filter", "takes a value"),
        ("where=day:null:", "bad_filter", "takes no value"),
        ("where=:eq:1", "bad_filter", "column:operator:value"),
        ("where=day:eq:today", "bad_filter", "a day, such as"),
        ("where=interval_s:eq:9223372036854775808", "bad_filter", "64 bits"),
        ("where=interval_s:eq:1_0", "bad_filter", "64 bits"),
        ("where=interval_s:eq:%D9%A3", "bad_filter", "64 bits"),
        ("where=value_mean:lt:nan", "bad_filter", "a number"),
        ("where=value_mean:lt:1e999", "bad_filter", "a number"),
        ("where=last_seen_at:lt:2026-11-20T08:00:00", "bad_filter", "with its zone"),
        ("where=last_seen_at:lt:2026-11-20T08:00:00+08:00", "bad_filter", "write + as %2B"),
        ("where=last_seen_at:lt:0001-01-01T00:00:00%2B08:00", "bad_filter", "with its zone"),
        ("where=last_seen_at:lt:2026-11-20T08:00:00.0000001Z", "bad_filter", "with its zone"),
        ("where=unit:in:%22open", "bad_filter", "a line of CSV"),
        ("where=unit:in:", "bad_filter", "a line of CSV"),
        ("cursor=x", "bad_question", "no cursor"),
        ("format=exe", "unknown_format", "json"),
        ("%FF=1", "bad_query", "UTF-8"),
        ("day", "bad_day", "2026-11-20"),
        ("&".join(["column=a"] * 300), "bad_query", "name=value"),
    ],
)
def test_what_cannot_be_understood_is_told_with_what_to_write(odd: Odd, query: str, code: str, said: str) -> None:
    answer = odd.client.get(f"{PATH}?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (told["code"], told["status"]) == (code, 400), told
    assert said in told["detail"]
    assert "traceback" not in answer.text.lower()


def test_a_cursor_is_of_its_question_and_goes_on_in_its_version(tmp_path: Any, project_root: Any) -> None:
    settings = odd_home(tmp_path / "home", project_root)
    lake = Lake(settings.lake, settings.dataset_contracts)
    path = f"/v1/datasets/{OWNERS}/rows"
    with served(settings) as running, running.client("steward") as client:
        first = client.get(f"{path}?limit=4&sort=owner_id").json()
        following = first["next"]
        (cursor,) = [value for name, value in parse_qsl(urlsplit(following).query) if name == "cursor"]
        for other in (f"sort=-owner_id&cursor={cursor}", f"cursor={cursor}", f"sort=owner_id&day=last&cursor={cursor}"):
            assert client.get(f"{path}?{other}").status_code == 400
        write(lake, OWNERS, DAY, [])
        rest = client.get(following).json()
        assert [row["owner_id"] for row in rest["rows"]] == ["OWN-4", "OWN-5", "OWN-6", "OWN-7"]
        assert rest["version"] == first["version"]
        was = first["version"]
        now, before = (client.get(f"{path}?version={version}").json() for version in (was + 1, was))
        assert (len(now["rows"]), len(before["rows"])) == (0, 9)
        assert client.get(f"{path}?version=99").status_code == 404
        changed = client.get(f"/v1/datasets/{OWNERS}/changes?first={was + 1}&last={was + 1}").json()["rows"]
        assert [(row["_change_type"], row["_commit_version"]) for row in changed] == [("delete", was + 1)] * 9
        lines = client.get(f"/v1/datasets/{OWNERS}/changes?first={was}&last={was + 1}&format=ndjson").text.splitlines()
        assert len(lines) == 18
        for wrong in ("first=1", "first=2&last=1", "first=0&last=100", "first=a&last=b", ""):
            assert client.get(f"/v1/datasets/{OWNERS}/changes?{wrong}").status_code == 400


def test_changes_say_times_as_rows_do_also_beyond_what_python_knows(tmp_path: Path, project_root: Path) -> None:
    # Midnight of the first day of year 1 in Shanghai, and of year 10000 in UTC; and one that Python knows.
    moments = {"i0": -62_135_625_600_000_000, "i1": 253_402_300_800_000_000, "i2": 1_763_600_523_000_004}
    settings = odd_home(tmp_path / "home", project_root, {INSTANCES: [instance(n, day=DAY) for n in range(3)]})
    lake = Lake(settings.lake, settings.dataset_contracts)
    schema = lake.schema(INSTANCES).arrow
    far = pa.Table.from_pylist(
        [instance(n, day=DAY, instance_id=name, last_seen_at=None) for n, name in enumerate(moments)], schema
    )
    at = schema.get_field_index("last_seen_at")
    lake.replace(INSTANCES, DAY, far.set_column(at, schema[at], pa.array(list(moments.values())).cast(schema[at].type)))
    version = lake.version(INSTANCES)
    with served(settings) as running, running.client("steward") as client:
        path = f"/v1/datasets/{INSTANCES}/changes?first={version}&last={version}"
        changes = client.get(path)
        assert changes.status_code == 200, changes.text
        came = [row for row in changes.json()["rows"] if row["_change_type"] == "insert"]
        lines = client.get(f"{path}&format=ndjson").text.splitlines()
        rows = client.get(f"{PATH}?sort=instance_id").json()["rows"]
    assert [row["_change_type"] for row in changes.json()["rows"]] == ["delete"] * 3 + ["insert"] * 3
    assert [json.loads(line) for line in lines] == changes.json()["rows"]
    told = {"_change_type": "insert", "_commit_version": version}
    assert sorted(came, key=lambda row: str(row["instance_id"])) == [row | told for row in rows]
    assert [row["last_seen_at"] for row in rows] == [
        "0000-12-31T16:00:00.000000Z", "10000-01-01T00:00:00.000000Z", "2025-11-20T01:02:03.000004Z",
    ]  # fmt: skip


def test_a_dataset_is_described_as_it_is_seen(odd: Odd) -> None:
    named = {one["dataset"]: one["links"] for one in odd.client.get("/v1/datasets").json()["datasets"]}
    assert {INSTANCES, ANOMALIES, OWNERS} <= set(named)
    assert "audit/access" not in named
    described = odd.client.get(named[INSTANCES]["self"]).json()
    assert described["days"] == ["2026-11-20", "2026-11-23"]
    assert described["rows"] == "all"
    assert described["links"] == named[INSTANCES]
    masked = {one["name"]: one["masked"] for one in odd.client.get(named[OWNERS]["self"]).json()["columns"]}
    assert (masked["owner_id"], masked["phone"]) == (False, True)
    rows = odd.client.get(f"{PATH}?day=last&limit=1000").json()
    assert rows["day"] == "2026-11-23"
    assert {row["day"] for row in rows["rows"]} == {"2026-11-23"}
    assert len(rows["rows"]) == len([row for row in door_rows(odd) if row["day"] == date(2026, 11, 23)])


def test_what_left_is_on_record(tmp_path: Any, project_root: Any) -> None:
    settings = odd_home(tmp_path / "home", project_root)
    with served(settings) as running, running.client("steward") as client:
        client.get(f"/v1/datasets/{OWNERS}/rows?limit=2&column=owner_id&column=phone")
        client.get(f"/v1/datasets/{OWNERS}/rows?limit=all&column=owner_id&format=csv&where=active:eq:true")
        client.get(f"/v1/datasets/{OWNERS}/rows?column=nothing")
        client.get("/v1/datasets/audit/access/rows")
    with AuditLog(settings.audit) as log:
        entries = [entry.fields for entry in log.entries()]
    told = [(one["principal"], one["dataset"], one["decision"], one["row_count"], one["columns"]) for one in entries]
    assert told == [
        ("steward", OWNERS, "allow", 2, ["owner_id", "phone"]),
        ("steward", OWNERS, "allow", 5, ["owner_id"]),
        ("steward", OWNERS, "allow", 0, []),
        ("steward", "audit/access", "deny", None, []),
    ]


def test_all_rows_leave_in_pieces_and_a_client_that_goes_away_leaves_nothing_open(odd: Odd) -> None:
    with odd.client.stream("GET", f"{PATH}?limit=all&format=ndjson") as answer:
        assert "content-length" not in answer.headers
        next(answer.iter_bytes())
    with opener(odd.served.settings)():
        assert odd.client.get(f"{PATH}?limit=all&format=xlsx").status_code == 200
    left = [path for path in odd.served.settings.tmp.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []


def test_answers_with_all_rows_are_few_at_a_time(tmp_path: Path, project_root: Path) -> None:
    # Larger than what lies between service and client, so that the first answer waits for its client.
    rows = [{"day": DAY, "system": "securities_trading", "instance_id": f"i{n}", "metric": "m", "sample_mean": 1.0,
             "last_sample_at": None, "source_metric": "x" * 2_000_000} for n in range(20)]  # fmt: skip
    settings = odd_home(tmp_path / "home", project_root, {INSTANCES: rows})
    with served(settings, Limits(whole_answers=1)) as running, running.client("steward") as client:
        for _ in range(2):
            with client.stream("GET", f"{PATH}?limit=all"):
                refused = client.get(f"{PATH}?limit=all&format=xlsx")
                assert (refused.status_code, refused.json()["code"]) == (503, "too_many_answers")
                assert refused.headers["retry-after"]
                assert client.get(f"{PATH}?limit=2&column=system").status_code == 200
            # Whoever goes away makes room, as does what cannot be written: a text is longer than a cell.
            until = time.monotonic() + 20
            while (answer := client.get(f"{PATH}?limit=all&format=xlsx")).status_code == 503:
                assert time.monotonic() < until
                time.sleep(0.05)
            assert answer.json()["code"] == "does_not_fit"
    with (
        served(settings, Limits(whole_answers_each=1)) as running,
        running.client("steward") as client,
        running.client("engineer") as other,
        client.stream("GET", f"{PATH}?limit=all"),
    ):
        refused = client.get(f"{PATH}?limit=all&format=csv")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_answers")
        assert "of yours" in refused.json()["detail"]
        assert other.get(f"{PATH}?limit=all&format=csv").status_code == 200


def test_where_there_is_no_room_that_is_said_and_nothing_is_left(tmp_path: Path, project_root: Path) -> None:
    drawn = random.Random(7)  # noqa: S311 - texts that no format makes small
    rows = [{"day": DAY, "system": "securities_trading", "instance_id": f"i{n}", "metric": "m", "sample_mean": 1.0,
             "last_sample_at": None, "source_metric": drawn.randbytes(15_000).hex()} for n in range(100)]  # fmt: skip
    settings = odd_home(tmp_path / "home", project_root, {INSTANCES: rows})
    proof = {"Authorization": f"Bearer {token_of(settings, 'steward')}"}
    with (
        served_by_process(settings.home, project_root) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{process.port}", headers=proof, timeout=60) as client,
    ):

        def codes() -> list[tuple[int, str]]:
            unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (400_000, unlimited[1]))
            try:
                answers = [client.get(f"{PATH}?limit={limit}") for limit in ("2", "all&format=xlsx")]
            finally:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
            return [(answer.status_code, answer.json().get("code")) for answer in answers]

        assert codes() == [(507, "no_room")] * 2
        assert client.get(f"{PATH}?limit=2").status_code == 200
        # What is shown is on disk by now; a workbook is not.
        assert codes() == [(200, None), (507, "no_room")]
        left = [path for path in settings.tmp.rglob("*") if path.is_file() and path.suffix != ".lock"]
        assert left == []


@pytest.mark.parametrize("name", ["a%0d%0aX-Evil:%201", "..%2f..%2fetc", "%00", "a" * 3000, "王", "a%22b"])
def test_names_get_into_no_header_and_nowhere_else(odd: Odd, name: str) -> None:
    for path in (f"/v1/datasets/quality/{name}/rows", f"/v1/datasets/{name}/anomalies", f"/v1/control/{name}",
                 f"/v1/anomalies/{name}", f"/v1/cases/{name}", f"/v1/rankings/{name}"):  # fmt: skip
        answer = odd.client.get(path, headers={"Accept": "text/csv, */*"})
        assert answer.status_code == 404, (path, answer.text)
        assert "x-evil" not in answer.headers
        assert "etc" not in answer.text
    strange = odd.client.get(f"{PATH}?limit=1&where=unit:ne:{name}&format=csv")
    assert strange.status_code == 200
    assert "x-evil" not in strange.headers
    assert "\n" not in strange.headers.get("link", "")


def test_addresses_are_those_that_clients_know_behind_a_proxy() -> None:
    for path in ("/v1/cases", "/omgov/v1/cases"):
        scope = {"type": "http", "path": path, "root_path": "/omgov", "headers": [], "query_string": b""}
        assert address(Request(scope)) == "/omgov/v1/cases"
    assert (
        address(Request({"type": "http", "path": "/v1/王\r\n", "root_path": "", "headers": []}))
        == "/v1/%E7%8E%8B%0D%0A"
    )
