"""A push that is acknowledged has landed and goes through the gate once; one that is not has left nothing."""

from __future__ import annotations

import gzip
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import zstandard
from pushing import AGENT, CONSUMER, DAY, ENGINEER, FIRST_DAY, OTHER_AGENT, TODAY, build_pushed_firm, judged, push
from served import Served, served, token_of
from small_firm import COLUMNS, SYSTEM, SmallFirm, csv_text, file_bytes, instance

from omgov_assets.access_control.audit_lake import open_log
from omgov_assets.admission.ledger import LEDGER
from omgov_assets.admission.reception import Received
from omgov_assets.interface_service.ingest.receptions import Receptions, Target
from omgov_assets.interface_service.ingest.routes import LONGEST_BACKLOG
from omgov_assets.interface_service.limits import Limits

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"
LARGEST = 12 << 20
_number = iter(range(1_000_000))


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> SmallFirm:
    return build_pushed_firm(tmp_path_factory.mktemp("firm"), limits={"max_file_bytes": LARGEST})


@pytest.fixture(scope="module")
def service(firm: SmallFirm) -> Iterator[Served]:
    with served(firm.settings, Limits(stalled_s=1.5)) as running:
        yield running


@pytest.fixture(scope="module")
def client(service: Served) -> Iterator[httpx.Client]:
    with service.client(AGENT) as opened:
        yield opened


def body(*further: dict[str, object]) -> bytes:
    """A body that no other test has pushed."""
    own = instance(ci=f"H{next(_number)}")
    return csv_text(COLUMNS[SYSTEM, DATASET], [own, *further]).encode()


def landed(firm: SmallFirm) -> set[str]:
    """All files of the landing folder, hidden ones as well."""
    return {path.name for path in firm.settings.landing.rglob("*") if path.is_file()}


def entries(firm: SmallFirm, batch_id: str) -> list[tuple[str, int]]:
    """Decision and admitted rows of a batch, as the ledger has them."""
    found = firm.rows(LEDGER, "decision, rows_admitted, batch_id", None)
    return [(decision, rows) for decision, rows, of in found if of == batch_id]


def test_what_is_acknowledged_has_landed_and_is_judged(firm: SmallFirm, client: httpx.Client) -> None:
    content = body(instance(ci=None))
    answer = push(client, content)
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert answer.headers["Location"] == f"/v1/batches/{told['id']}"
    path = firm.folder(SYSTEM, DATASET, DAY) / f"received-{told['content_hash']}.csv"
    assert path.read_bytes() == content
    assert (told["size_bytes"], told["day"], told["batch_id"]) == (
        len(content), DAY.isoformat(), told["content_hash"][:16],
    )  # fmt: skip
    found = judged(client, answer.headers["Location"])
    assert (found["state"], found["rows_in"], found["rows_admitted"], found["rows_quarantined"]) == ("partial", 2, 1, 1)
    assert found["quarantine_reasons"] == {"required_missing:ci": 1}
    assert entries(firm, told["batch_id"]) == [("partial", 1)]
    rows = firm.rows(TABLE, "_batch_id, _record_no", None)
    assert [row for row in rows if row[0] == told["batch_id"]] == [(told["batch_id"], 1)]


def test_without_a_day_it_is_the_firms_present_one(client: httpx.Client) -> None:
    assert push(client, body(), day=None).json()["day"] == TODAY.isoformat()


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        (f"Day={DAY}", "unknown_parameter", "Did you mean day?"),
        (f"day={DAY}&dya={DAY}", "unknown_parameter", "there are day. Did you mean day?"),
        (f"day={DAY}&day={TODAY}", "repeated_parameter", "day is there more than once; say it once."),
        ("day=%ff", "bad_query", "name=value"),
    ],
    ids=["capital", "misspelt", "twice", "no text"],
)
def test_a_push_is_never_of_another_day_than_was_meant(
    firm: SmallFirm, client: httpx.Client, query: str, code: str, said: str
) -> None:
    before = landed(firm)
    answer = client.post(f"/v1/ingest/{TABLE}?{query}", content=body(), headers={"Content-Type": "text/csv"})
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert said in answer.json()["detail"]
    assert landed(firm) == before


def test_a_batch_is_asked_for_by_its_address_alone(client: httpx.Client) -> None:
    location = push(client, body()).headers["Location"]
    answer = client.get(f"{location}?day={DAY}")
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")
    assert "there is none here" in answer.json()["detail"]


def test_the_document_says_which_parameters_there_are(client: httpx.Client) -> None:
    paths = client.get("/v1/openapi.json").json()["paths"]
    pushing, asking = paths["/v1/ingest/{system}/{dataset}"]["post"], paths["/v1/batches/{batch}"]["get"]
    assert [one["name"] for one in pushing["parameters"] if one["in"] == "query"] == ["day"]
    assert [one["name"] for one in asking["parameters"] if one["in"] == "query"] == []
    assert "400" in pushing["responses"]
    assert "400" in asking["responses"]


def test_the_same_push_again_is_the_same_batch(firm: SmallFirm, client: httpx.Client) -> None:
    content = body()
    first = push(client, content)
    judged(client, first.headers["Location"])
    before = landed(firm)
    again = push(client, content)
    assert (again.status_code, again.json()) == (202, first.json())
    assert "Idempotent-Replayed" not in again.headers
    assert landed(firm) == before
    assert entries(firm, first.json()["batch_id"]) == [("admitted", 1)]


def test_a_key_gives_the_same_answer_again_and_is_good_for_nothing_else(firm: SmallFirm, client: httpx.Client) -> None:
    content, key = body(), "night-2026-11-20"
    first = push(client, content, Idempotency_Key=key)
    again = push(client, content, Idempotency_Key=key)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    before = landed(firm)
    for refused in (
        push(client, body(), Idempotency_Key=key),
        push(client, content, day=DAY - timedelta(days=1), Idempotency_Key=key),
        push(client, content, dataset="metric_definitions", Idempotency_Key=key),
    ):
        assert (refused.status_code, refused.json()["code"]) == (422, "key_reused")
    assert landed(firm) == before
    assert push(client, content, Idempotency_Key="x" * 256).json()["code"] == "bad_key"
    assert push(client, content, Idempotency_Key="two words").json()["code"] == "bad_key"


def test_of_many_that_come_with_one_key_at_a_time_one_wins(firm: SmallFirm, client: httpx.Client) -> None:
    bodies = [body() for _ in range(8)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda one: push(client, one, Idempotency_Key="one"), [*bodies, *bodies]))
    taken = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    assert len(taken) == 2
    assert len(set(taken)) == 1
    assert {answer.status_code for answer in answers} == {202, 422}
    assert len([name for name in landed(firm) if name.startswith(".")]) == 0


def test_many_push_the_same_at_a_time_and_it_counts_once(firm: SmallFirm, client: httpx.Client) -> None:
    content = body()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: push(client, content), range(12)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({json.dumps(answer.json()) for answer in answers}) == 1
    judged(client, answers[0].headers["Location"])
    assert entries(firm, answers[0].json()["batch_id"]) == [("admitted", 1)]


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "identity": bytes,
}


@pytest.mark.parametrize("coding", sorted(PACKED))
def test_a_packed_body_lands_unpacked(firm: SmallFirm, client: httpx.Client, coding: str) -> None:
    content = body()
    answer = push(client, PACKED[coding](content), Content_Encoding=coding)
    assert answer.status_code == 202, answer.text
    path = firm.folder(SYSTEM, DATASET, DAY) / f"received-{answer.json()['content_hash']}.csv"
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("system", "dataset"),
    [
        ("nowhere", DATASET),
        (SYSTEM, "nothing"),
        ("cmdb", "owners"),
        ("quality", "anomalies"),
        (SYSTEM, f"{DATASET}_quarantine"),
        ("..", "landing"),
    ],
)
def test_what_there_is_not_and_what_is_anothers_sound_the_same(client: httpx.Client, system: str, dataset: str) -> None:
    answer = push(client, body(), dataset, system=system.replace("..", "%2e%2e"))
    expected = push(client, body(), "nothing", system="nowhere")
    assert (answer.status_code, answer.json()) == (404, expected.json())


def test_only_who_may_write_pushes(service: Served, firm: SmallFirm) -> None:
    before = landed(firm)
    for principal in (ENGINEER, CONSUMER, OTHER_AGENT):
        with service.client(principal) as other:
            assert push(other, body()).status_code == 404
    for credential in ("x", "omgov_000000000000_" + "a" * 43):
        with service.client() as nobody:
            answer = push(nobody, body(), Authorization=f"Bearer {credential}")
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="omgov"')
    reader = token_of(firm.settings, AGENT, "read")
    with service.client() as nobody:
        assert push(nobody, body(), Authorization=f"Bearer {reader}").status_code == 404
    assert landed(firm) == before


HEADS: dict[str, tuple[dict[str, str], dict[str, str], int, str]] = {
    "a day to come": ({"day": str(TODAY + timedelta(days=1))}, {}, 422, "bad_day"),
    "a day before the first": ({"day": str(FIRST_DAY - timedelta(days=1))}, {}, 422, "bad_day"),
    "a day in another form": ({"day": DAY.strftime("%Y%m%d")}, {}, 422, "bad_day"),
    "no day that there is": ({"day": "2026-02-30"}, {}, 422, "bad_day"),
    "a path for a day": ({"day": "../../etc"}, {}, 422, "bad_day"),
    "another format": ({}, {"Content-Type": "application/json"}, 415, "media_type_not_taken"),
    "no media type": ({}, {"Content-Type": ""}, 415, "media_type_missing"),
    "another charset": ({}, {"Content-Type": "text/csv; charset=gbk"}, 415, "charset_not_taken"),
    "no header line": ({}, {"Content-Type": "text/csv; header=absent"}, 415, "header_missing"),
    "another coding": ({}, {"Content-Encoding": "br"}, 415, "coding_not_taken"),
    "packed by nobody knows what": (
        {},
        {"Content-Encoding": "gzip\r\nContent-Encoding: gzip"},
        415,
        "coding_not_taken",
    ),
    "packed twice": ({}, {"Content-Encoding": "gzip, gzip"}, 415, "coding_not_taken"),
    "too many bytes": ({}, {"Content-Length": str(LARGEST + 1)}, 413, "too_large"),
    "a key of two words": ({}, {"Idempotency-Key": "a b"}, 400, "bad_key"),
}


@pytest.mark.parametrize("case", HEADS)
def test_a_push_that_cannot_be_taken_is_refused_before_its_body_is_asked_for(
    service: Served, firm: SmallFirm, case: str
) -> None:
    parameters, headers, status, code = HEADS[case]
    head, answer = asked(service, firm, parameters, headers)
    assert b"100 Continue" not in head
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == code
    if status == 415:
        told = b"accept-encoding: gzip" if "coding" in code else b"accept-post: text/csv"
        assert told in answer.lower()


def test_a_push_that_can_be_taken_is_told_to_go_on(service: Served, firm: SmallFirm) -> None:
    head, answer = asked(service, firm, {}, {}, body())
    assert head.startswith(b"HTTP/1.1 100 Continue")
    assert answer.startswith(b"HTTP/1.1 202 ")


def asked(
    service: Served,
    firm: SmallFirm,
    parameters: dict[str, str],
    headers: dict[str, str],
    content: bytes = b"",
) -> tuple[bytes, bytes]:
    """What comes of a head with ``Expect: 100-continue``, and then of the body, sent where it was asked for."""
    query = httpx.QueryParams({"day": str(DAY)} | parameters)
    named = {
        "Host": "omgov",
        "Authorization": f"Bearer {token_of(firm.settings, AGENT)}",
        "Content-Type": "text/csv",
        "Content-Length": str(len(content) or 100),
        "Expect": "100-continue",
        "Connection": "close",
    } | headers
    head = f"POST /v1/ingest/{SYSTEM}/{DATASET}?{query} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in named.items() if value)
    with connection(service) as sock:
        sock.sendall(f"{head}\r\n".encode())
        first = sock.recv(65536)
        if not first.startswith(b"HTTP/1.1 100"):
            return first, first + everything(sock)
        sock.sendall(content)
        return first, everything(sock)


def connection(service: Served) -> socket.socket:
    address = urlsplit(service.url)
    assert address.hostname is not None
    assert address.port is not None
    return socket.create_connection((address.hostname, address.port), timeout=30)


def head_of_push(firm: SmallFirm, principal: str, length: str, path: str = TABLE) -> bytes:
    """The head of a push of CSV; ``length`` is the header that says how long its body is."""
    lines = (
        f"POST /v1/ingest/{path}?day={DAY} HTTP/1.1",
        "Host: omgov",
        "Content-Type: text/csv",
        f"Authorization: Bearer {token_of(firm.settings, principal)}",
        length,
    )
    return "\r\n".join((*lines, "", "")).encode()


def everything(sock: socket.socket) -> bytes:
    """What still comes until the other side closes."""
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_more_bytes_than_allowed_are_cut_off_unannounced_or_packed(firm: SmallFirm, client: httpx.Client) -> None:
    before = landed(firm)
    line = body() * 200
    large = line * (LARGEST // len(line) + 1)

    def in_chunks() -> Iterator[bytes]:
        for start in range(0, len(large), 100_000):
            yield large[start : start + 100_000]

    for content, headers in (
        (in_chunks(), {}),
        (gzip.compress(large), {"Content_Encoding": "gzip"}),
        (zstandard.ZstdCompressor().compress(bytes(1 << 30)), {"Content_Encoding": "zstd"}),
        (gzip.compress(bytes(1 << 20)) * 400, {"Content_Encoding": "gzip"}),
    ):
        answer = push(client, content, **headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert landed(firm) == before


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_packed_body_that_is_cut_off_leaves_nothing(firm: SmallFirm, client: httpx.Client, coding: str) -> None:
    before = landed(firm)
    answer = push(client, PACKED[coding](body())[:-3], Content_Encoding=coding)
    assert (answer.status_code, answer.json()["code"]) == (400, "broken_coding")
    assert push(client, b"").json()["code"] == "empty_body"
    assert landed(firm) == before


def test_a_client_that_goes_away_leaves_nothing(service: Served, firm: SmallFirm) -> None:
    before = landed(firm)
    with connection(service) as sock:
        sock.sendall(head_of_push(firm, AGENT, "Content-Length: 1000000") + b"x" * 400_000)
        wait_until(lambda: landed(firm) != before)
    wait_until(lambda: landed(firm) == before)


def test_a_client_that_drips_is_cut_off(service: Served, firm: SmallFirm) -> None:
    before = landed(firm)
    with connection(service) as sock:
        sock.sendall(head_of_push(firm, AGENT, "Transfer-Encoding: chunked"))
        stop = threading.Event()

        def drip() -> None:
            # Never still for as long as would be too long, and never done.
            while not stop.wait(0.1):
                try:
                    sock.sendall(b"1\r\nx\r\n")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        began = time.monotonic()
        answer = sock.recv(65536)
        stop.set()
        dripping.join()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 1.0 < time.monotonic() - began < 10
    wait_until(lambda: landed(firm) == before)


@contextmanager
def a_body_under_way(service: Served, firm: SmallFirm, principal: str, path: str) -> Iterator[None]:
    """A body that its client has begun and does not end; it is being taken in by the time that this returns."""
    before = landed(firm)
    with connection(service) as sock:
        sock.sendall(head_of_push(firm, principal, "Content-Length: 1000000", path))
        wait_until(lambda: len(landed(firm)) == len(before) + 1)
        yield


def test_one_principal_leaves_room_for_the_bodies_of_others(firm: SmallFirm) -> None:
    def refused(client: httpx.Client, system: str = SYSTEM, dataset: str = DATASET) -> tuple[int, str, str]:
        answer = push(client, body(), dataset, system=system)
        assert answer.headers["Retry-After"]
        return answer.status_code, answer.json()["code"], answer.json()["detail"]

    own, other = f"{SYSTEM}/{DATASET}", "cmdb/owners"
    with (
        served(firm.settings, Limits(bodies=3, bodies_each=2)) as service,
        service.client(AGENT) as agent,
        service.client(OTHER_AGENT) as other_agent,
    ):
        with a_body_under_way(service, firm, AGENT, own), a_body_under_way(service, firm, AGENT, own):
            assert refused(agent) == (429, "too_many_pushes", "Too many bodies of yours are coming in; wait.")
            with a_body_under_way(service, firm, OTHER_AGENT, other):
                said = refused(other_agent, "cmdb", "owners")
                assert said == (503, "too_many_pushes", "Too many bodies are coming in; wait.")
        wait_until(lambda: push(agent, body()).status_code == 202)


def test_where_there_is_no_room_nothing_is_taken_and_that_is_said(firm: SmallFirm, client: httpx.Client) -> None:
    # More than the files have that are written beside it.
    room = 8_000_000
    content = body() * 60_000
    assert room < len(content) < LARGEST
    before = landed(firm)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        answer = push(client, content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (answer.status_code, answer.json()["code"]) == (507, "no_room")
    assert landed(firm) == before


def test_a_batch_is_shown_to_who_pushed_it_and_to_who_sees_its_entry(service: Served, client: httpx.Client) -> None:
    answer = push(client, body())
    location = answer.headers["Location"]
    own = judged(client, location)
    with service.client(ENGINEER) as engineer:
        assert engineer.get(location).json() == own
    for other in (CONSUMER, OTHER_AGENT):
        with service.client(other) as stranger:
            denied, unknown = stranger.get(location), stranger.get("/v1/batches/" + "0" * 32)
            assert (denied.status_code, denied.json()) == (404, unknown.json())
    with service.client() as nobody:
        assert nobody.get(location).status_code == 401
    assert client.get("/v1/batches/..%2f..").status_code == 404


def by(service: Served, *scope: str) -> httpx.Client:
    """A client with a token of the agent's for this alone."""
    client = service.client()
    client.headers["Authorization"] = f"Bearer {token_of(service.settings, AGENT, *scope)}"
    return client


def test_a_token_tells_its_sender_of_a_batch_what_it_is_good_for(service: Served, client: httpx.Client) -> None:
    answer = push(client, body())
    location = answer.headers["Location"]
    own = judged(client, location)
    for scope in ("read:quality/*", "write:cmdb/*", "read:cmdb/owners"):
        with by(service, scope) as other:
            assert other.get(location).status_code == 404, scope
    for scope in (f"write:{SYSTEM}/*", f"write:{TABLE}", f"read:{LEDGER}"):
        with by(service, scope) as other:
            assert other.get(location).json() == own, scope


def test_who_asks_for_a_batch_is_on_record(service: Served, firm: SmallFirm, client: httpx.Client) -> None:
    answer = push(client, body())
    judged(client, answer.headers["Location"])
    said = f"batch {answer.json()['id']}"
    with by(service, "read:quality/*") as other:
        other.get(answer.headers["Location"])
    with open_log(firm.lake, firm.settings.audit) as log:
        asked = [entry.fields for entry in log.entries() if str(entry.fields["reason"]).endswith(said)]
    assert {(one["principal"], one["dataset"], one["rows"]) for one in asked} == {(AGENT, TABLE, "none")}
    assert [one["decision"] for one in asked][-2:] == ["allow", "deny"]


def test_who_may_push_no_more_is_told_no_more(tmp_path: Path) -> None:
    firm = build_pushed_firm(tmp_path)
    with served(firm.settings) as running, running.client(AGENT) as agent:
        location = push(agent, body()).headers["Location"]
        judged(agent, location)
    access = firm.settings.governance / "access" / "access.yaml"
    written = access.read_text(encoding="utf-8")
    access.write_text(written.replace("- data_source", "- business_consumer"), encoding="utf-8")
    with served(firm.settings) as running, running.client(AGENT) as agent:
        assert push(agent, body()).status_code == 404
        assert agent.get(location).status_code == 404


def test_every_push_is_on_record_and_who_was_denied_as_well(service: Served, firm: SmallFirm) -> None:
    with service.client(AGENT) as agent, service.client(OTHER_AGENT) as other:
        push(agent, body())
        push(other, body())
    with open_log(firm.lake, firm.settings.audit) as log:
        fields = [entry.fields for entry in log.entries()]
    said = [(one["principal"], one["decision"]) for one in fields if one["dataset"] == TABLE]
    assert said[-2:] == [(AGENT, "allow"), (OTHER_AGENT, "deny")]
    assert all(one["reason"].startswith("write: ") for one in fields if one["dataset"] == TABLE)


def test_where_too_many_wait_the_next_is_told_to_come_again(tmp_path: Path, firm: SmallFirm) -> None:
    home = firm.at(tmp_path / "home")
    later = datetime.now(UTC) + timedelta(days=1)
    with Receptions(home.settings.receptions) as receptions, served(home.settings) as running:
        first = Received("a", "0" * 64, 1, later)
        for number in range(LONGEST_BACKLOG):
            received = replace(first, content_hash=f"{number:064}")
            receptions.accept(AGENT, Target(SYSTEM, DATASET, DAY), received, later)
        with running.client(AGENT) as agent:
            answer = push(agent, body())
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "backlog", "30")


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


FORMS = {
    "csv-gbk": [("csv", "text/csv"), ("csv", "text/csv; charset=GBK")],
    "ndjson": [("ndjson", "application/x-ndjson"), ("json", "application/json"), ("json", "application/jsonl")],
    "json": [("json", "application/json; charset=utf-8"), ("ndjson", "application/ndjson")],
    "parquet": [("parquet", "application/vnd.apache.parquet")],
    "sqlite": [("sqlite", "application/vnd.sqlite3")],
}


@pytest.mark.parametrize("delivers", FORMS)
def test_a_dataset_takes_what_its_contract_is_written_for(tmp_path: Path, delivers: str) -> None:
    other = build_pushed_firm(tmp_path, delivers)
    with served(other.settings) as running, running.client(AGENT) as agent:
        for number, (form, content_type) in enumerate(FORMS[delivers]):
            records = [instance(ci=f"H{number}", collector="采集"), instance(ci=f"A{number}")]
            transport = {**other.transport, "format": form}
            content = file_bytes(transport, COLUMNS[SYSTEM, DATASET], records)
            answer = push(agent, content, content_type=content_type)
            assert answer.status_code == 202, answer.text
            found = judged(agent, answer.headers["Location"])
            assert (found["state"], found["rows_admitted"]) == ("admitted", 2)
        refused = push(agent, content, content_type="text/html")
        assert refused.status_code == 415
        assert refused.headers["Accept-Post"].split(", ")[0] == FORMS[delivers][0][1].partition(";")[0]
