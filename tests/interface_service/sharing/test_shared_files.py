"""Shared files: a link opens one of them, for whom and as long as it was made for, whole or in ranges."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pyarrow.parquet as pq
import pytest
from sharing_desk import ANOMALIES, ANOMALIES_URL, FIRST_DAY, OWNERS, SECOND_DAY, TABLES, SharingDesk, anomaly

from omgov_assets.access_control.link_keys import LinkKeys
from omgov_assets.access_control.signed_links import Link
from omgov_assets.access_control.snapshot import prune_snapshots
from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.interface_service.sharing import ranges
from omgov_assets.interface_service.sharing.files import Openings
from omgov_assets.interface_service.sharing.ranges import UnsatisfiableError, byte_range
from omgov_assets.interface_service.sharing.shares import ShareStore

REFUSED = {
    "errorCode": "PERMISSION_DENIED",
    "message": "The link opens nothing, or no longer: ask for the table again.",
}

Asks = Callable[..., httpx.Client]


@pytest.fixture
def asks(desk: SharingDesk) -> Iterator[Asks]:
    with desk.service() as asks:
        yield asks


def addresses(asks: Asks, principal: str = "steward") -> list[str]:
    answer = asks(principal).post(f"{ANOMALIES_URL}/query", json={})
    return [json.loads(line)["file"]["url"] for line in answer.text.splitlines()[2:]]


def test_a_link_needs_no_token(asks: Asks) -> None:
    first, _ = addresses(asks)
    answer = asks(None).get(first)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == f'"{Path(urlsplit(first).path).stem}"'
    assert "last-modified" not in answer.headers
    table = pq.read_table(io.BytesIO(answer.content))
    assert table.column("anomaly_id").to_pylist() == ["a1", "a2"]


def test_parts_of_a_file_are_served(asks: Asks, monkeypatch: pytest.MonkeyPatch) -> None:
    client = asks(None)
    (url, _) = addresses(asks)
    whole = client.get(url).content
    size = len(whole)
    # As large files are: read while they are sent.
    for chunk_bytes in (ranges.CHUNK_BYTES, 1000):
        monkeypatch.setattr(ranges, "CHUNK_BYTES", chunk_bytes)
        assert client.get(url).content == whole
        for header, first, end in (
            ("bytes=0-0", 0, 1),
            ("bytes=0-1999", 0, 2000),
            ("bytes=5-", 5, size),
            ("bytes=-8", size - 8, size),
            (f"bytes=-{size * 2}", 0, size),
            (f"bytes={size - 1}-{size * 2}", size - 1, size),
            ("BYTES = 3 - 7", 3, 8),
        ):
            part = client.get(url, headers={"Range": header})
            assert (part.status_code, part.content) == (206, whole[first:end]), header
            assert part.headers["content-range"] == f"bytes {first}-{end - 1}/{size}"
            assert part.headers["content-length"] == str(end - first)
    for header in (f"bytes={size}-", f"bytes={size}-{size + 5}", "bytes=-0"):
        nothing = client.get(url, headers={"Range": header})
        assert (nothing.status_code, nothing.headers["content-range"]) == (416, f"bytes */{size}")
        assert nothing.json()["errorCode"] == "INVALID_PARAMETER_VALUE"
    for header in ("bytes=5-2", "bytes=-", "bytes=a-b", "rows=0-1", "bytes=0-1,4-5", "bytes", "bytes=1-" + "9" * 40):
        answer = client.get(url, headers={"Range": header})
        assert (answer.status_code, answer.content) == (200, whole), header


def test_what_a_client_has_is_not_sent_again(asks: Asks) -> None:
    client = asks(None)
    first, second = addresses(asks)
    tag, other = (client.head(url).headers["etag"] for url in (first, second))
    for known in (tag, f'W/{tag}, "x"', "*"):
        answer = client.get(first, headers={"If-None-Match": known, "Range": "bytes=0-3"})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert client.get(first, headers={"If-None-Match": other}).status_code == 200
    for condition, status in ((tag, 206), (other, 200), (f"W/{tag}", 200), ("Fri, 20 Nov 2026 00:00:00 GMT", 200)):
        answer = client.get(first, headers={"If-Range": condition, "Range": "bytes=0-3"})
        assert answer.status_code == status, condition
    head = client.head(first, headers={"Range": "bytes=0-3"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(client.get(first).content))


def test_a_link_that_is_not_good_is_told_nothing_else(desk: SharingDesk, asks: Asks) -> None:
    client = asks(None)
    first, second = addresses(asks)
    path, _, signature = first.partition("?X-Amz-Signature=")
    middle = len(signature) // 2
    other_path = second.partition("?")[0]
    changed = "B" if signature[middle] == "A" else "A"
    bad = {
        "none": path,
        "empty": f"{path}?X-Amz-Signature=",
        "tampered": f"{path}?X-Amz-Signature={signature[:middle]}{changed}{signature[middle + 1 :]}",
        "cut": f"{path}?X-Amz-Signature={signature[:-1]}",
        "of another file": f"{other_path}?X-Amz-Signature={signature}",
        "of no file": f"{path.rpartition('/')[0]}/..%2f..%2faudit.parquet?X-Amz-Signature={signature}",
    }
    for what, url in bad.items():
        for method in ("GET", "HEAD"):
            answer = client.request(method, url)
            assert answer.status_code in ((403, 404) if what == "of no file" else (403,)), what
            if method == "GET" and what != "of no file":
                assert answer.json() == REFUSED
    reasons = [entry["reason"] for entry in desk.record() if entry["dataset"] == "/sharing/files"]
    assert {"link of nobody: malformed", "link of nobody: forged", "link of another file"} == set(reasons)
    assert signature not in json.dumps(desk.record())


def test_a_link_ends_with_its_time(desk: SharingDesk, asks: Asks) -> None:
    (url, _) = addresses(asks)
    desk.ahead = timedelta(minutes=59)
    assert asks(None).get(url).status_code == 200
    desk.ahead = timedelta(minutes=60, seconds=1)
    assert asks(None).get(url).json() == REFUSED


def test_a_link_ends_with_its_token(desk: SharingDesk, asks: Asks) -> None:
    (url, _) = addresses(asks)
    assert asks(None).get(url).status_code == 200
    with TokenStore(desk.settings.tokens) as tokens:
        for token in tokens.tokens():
            tokens.revoke(token.token_id, desk.now)
    # Although it was opened a moment before.
    assert asks(None).get(url).json() == REFUSED
    assert "token revoked" in desk.record()[-1]["reason"]


@pytest.mark.parametrize("act", ["revoke", "remove"])
def test_a_link_ends_with_its_offer(desk: SharingDesk, asks: Asks, act: str) -> None:
    client = asks(None)
    kept = {principal: addresses(asks, principal)[0] for principal in ("steward", "trading_department")}
    for url in kept.values():
        assert client.get(url).status_code == 200
    with ShareStore(desk.settings.shares) as store:
        # The same dataset offered to both in another share is another offer.
        store.create("other", desk.now)
        store.add("other", ANOMALIES)
        for principal in kept:
            store.grant("other", principal)
        if act == "revoke":
            store.revoke("quality", "trading_department")
        else:
            store.remove("quality", "quality", "anomalies")
            # One that takes its place is none of it.
            store.add("quality", ANOMALIES)
    # Although it was opened a moment before.
    for method in ("GET", "HEAD"):
        assert client.request(method, kept["trading_department"]).status_code == 403
    answer = client.get(kept["trading_department"], headers={"Range": "bytes=0-3"})
    assert (answer.status_code, answer.json()) == (403, REFUSED)
    last = desk.record()[-1]
    assert (last["decision"], last["principal"]) == ("deny", "trading_department")
    assert last["reason"] == "link to what is no longer offered to it"
    assert client.get(kept["steward"]).status_code == (200 if act == "revoke" else 403)


def test_shares_that_lie_in_the_place_of_others_are_those_that_count(desk: SharingDesk, asks: Asks) -> None:
    client, (url, _) = asks(None), addresses(asks)
    assert client.get(url).status_code == 200
    kept = desk.settings.shares.read_bytes()
    for content, status in ((b"nothing that could be read" * 100, 503), (None, 403), (kept, 200)):
        for beside in ("", "-wal", "-shm"):
            Path(f"{desk.settings.shares}{beside}").unlink(missing_ok=True)
        if content is not None:
            part = desk.settings.shares.with_name("restored")
            part.write_bytes(content)
            part.replace(desk.settings.shares)
        assert client.get(url).status_code == status


def test_a_link_ends_with_the_grade_of_what_it_shows(tmp_path: Path, project_root: Path) -> None:
    for folder in ("governance", "expectations"):
        shutil.copytree(project_root / folder, tmp_path / "project" / folder)
    desk = SharingDesk(tmp_path / "home", tmp_path / "project")
    owner = {"system": "cmdb", "owner_id": "OWN-1", "name": "Ann", "active": True, "_batch_id": "b", "_record_no": 1}
    desk.fill(OWNERS, FIRST_DAY, [owner])
    desk.share(OWNERS)
    contract = desk.settings.dataset_contracts / "owners.odcs.yaml"
    with desk.service() as asks:
        answer = asks().post(f"{TABLES}/cmdb/tables/owners/query", json={})
        url = json.loads(answer.text.splitlines()[2])["file"]["url"]
        client = asks(None)
        assert client.get(url).status_code == 200
        # As after somebody has found that the identifiers are those of persons.
        graded = contract.read_text(encoding="utf-8").replace('classification: "1"', 'classification: "3"')
        contract.write_text(graded, encoding="utf-8")
        until = time.monotonic() + 20
        while client.get(url).status_code == 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert client.get(url).json() == REFUSED


def test_a_link_opens_nothing_while_the_rules_cannot_be_read_and_then_what_it_did(
    tmp_path: Path, project_root: Path
) -> None:
    for folder in ("governance", "expectations"):
        shutil.copytree(project_root / folder, tmp_path / "project" / folder)
    desk = SharingDesk(tmp_path / "home", tmp_path / "project")
    desk.fill(ANOMALIES, FIRST_DAY, [anomaly(1)])
    desk.share(ANOMALIES)
    rules = desk.settings.governance / "access" / "access.yaml"
    sound = rules.read_text(encoding="utf-8")
    with desk.service() as asks:
        (url,), client = addresses(asks), asks(None)

        def comes_to(status: int) -> httpx.Response:
            until = time.monotonic() + 20
            while (answer := client.get(url)).status_code != status:
                assert time.monotonic() < until
                time.sleep(0.1)
            return answer

        comes_to(200)
        # As while somebody saves it.
        rules.write_text(sound[: len(sound) // 2] + "\n: [", encoding="utf-8")
        answer = comes_to(503)
        assert (answer.json()["errorCode"], answer.headers["Retry-After"]) == ("TEMPORARILY_UNAVAILABLE", "5")
        rules.write_text(sound, encoding="utf-8")
        comes_to(200)


def test_a_link_of_another_home_opens_nothing(
    desk: SharingDesk, asks: Asks, tmp_path: Path, project_root: Path
) -> None:
    other = SharingDesk(tmp_path / "other", project_root)
    other.fill(ANOMALIES, FIRST_DAY, [anomaly(1)])
    other.share(ANOMALIES)
    with other.service() as asks_there:
        (url,) = addresses(asks_there)
    parts = urlsplit(url)
    assert asks(None).get(f"{parts.path}?{parts.query}").json() == REFUSED
    key = LinkKeys(other.settings.link_keys).all()
    assert key != LinkKeys(desk.settings.link_keys).all()


def test_a_file_that_was_deleted_is_asked_for_again(desk: SharingDesk, asks: Asks) -> None:
    (url, _) = addresses(asks)
    client = asks(None)
    assert client.get(url).status_code == 200
    assert prune_snapshots(desk.settings.governed, desk.now + timedelta(days=1)) > 0
    assert client.get(url).json() == REFUSED
    (again, _) = addresses(asks)
    assert urlsplit(again).path == urlsplit(url).path
    assert client.get(again).status_code == 200


def test_an_opening_is_on_record_before_the_file_leaves(desk: SharingDesk, asks: Asks) -> None:
    (url, _) = addresses(asks, "trading_department")
    before = len(desk.record())
    for _ in range(20):
        asks(None).get(url, headers={"Range": "bytes=0-3"})
    (opened,) = desk.record()[before:]
    assert (opened["decision"], opened["principal"], opened["dataset"]) == ("allow", "trading_department", ANOMALIES)
    assert opened["reason"].endswith(Path(urlsplit(url).path).stem)


def test_a_reading_goes_on_record_each_minute() -> None:
    clock, here = [0.0], Path(__file__)
    openings, handed = Openings(lambda: clock[0]), []

    def hand_out() -> Path:
        handed.append(clock[0])
        return here

    at = datetime(2026, 11, 20, tzinfo=UTC)
    link = Link("quality/anomalies/all/0", "steward", None, "t", "0", at, at + timedelta(hours=1))
    for clock[0] in (0.0, 30.0, 59.9, 60.0, 61.0, 119.9, 120.0):
        assert openings.opened(link, hand_out) == here
    assert handed == [0.0, 60.0, 120.0]


def test_many_forged_links_do_not_fill_the_record(desk: SharingDesk, asks: Asks) -> None:
    client = asks(None)
    (url, _) = addresses(asks)
    forged = f"{url[:-4]}AAAA"
    for _ in range(300):
        assert client.get(forged).status_code == 403
    recorded = [entry for entry in desk.record() if entry["dataset"] == "/sharing/files"]
    assert 50 <= len(recorded) < 200
    assert client.get(url).status_code == 200


def test_reading_and_looking_are_operations_of_their_own(asks: Asks) -> None:
    paths = asks(None).get("/v1/openapi.json").json()["paths"]
    of_file = paths["/sharing/files/{name}.parquet"]
    assert (of_file["get"]["operationId"], of_file["head"]["operationId"]) == (
        "read_shared_file",
        "look_at_shared_file",
    )


@pytest.mark.parametrize("size", [0, 1, 10])
def test_a_range_is_never_outside_of_its_file(size: int) -> None:
    for first in ("", *map(str, range(12))):
        for last in ("", *map(str, range(12))):
            try:
                found = byte_range(f"bytes={first}-{last}", size)
            except UnsatisfiableError:
                assert size == 0 or (first and int(first) >= size) or (not first and int(last) == 0)
                continue
            if found is not None:
                assert 0 <= found[0] < found[1] <= size
                if first:
                    assert found == (int(first), min(size, int(last) + 1) if last else size)


def test_days_are_files_of_their_own(desk: SharingDesk, asks: Asks) -> None:
    urls = addresses(asks)
    desk.fill(ANOMALIES, SECOND_DAY, [anomaly(3)])
    again = addresses(asks)
    assert urlsplit(again[0]).path == urlsplit(urls[0]).path
    assert urlsplit(again[1]).path != urlsplit(urls[1]).path
    # Who has the former link goes on reading what it was made for.
    assert pq.read_table(io.BytesIO(asks(None).get(urls[1]).content)).num_rows == 3
