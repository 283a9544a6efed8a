"""The service as its supervisors see it: whether it lives, follows the rules, and lets nobody in unproved."""

from __future__ import annotations

import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from nights import Home
from served import Served, opener, served
from service_process import port_of, served_in_thread

from omgov_assets.access_control.audit_chain import Decision
from omgov_assets.access_control.audit_lake import open_log
from omgov_assets.access_control.audit_log import AuditUnavailableError
from omgov_assets.access_control.authentication import AuthenticationError
from omgov_assets.access_control.link_keys import LinkKeyError, LinkKeys
from omgov_assets.access_control.tokens import TokenError
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.app import create_app
from omgov_assets.interface_service.limits import Limits
from omgov_assets.interface_service.problems import problem_of
from omgov_assets.interface_service.unusable import UNUSABLE


def test_it_says_whether_it_lives_and_is_ready(service: Served) -> None:
    with service.client() as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")


def test_it_says_that_it_lives_while_all_threads_are_at_work(tmp_path: Path, project_root: Path) -> None:
    limits, done = Limits(threads=1), threading.Event()
    app = create_app(opener(Settings(tmp_path / "home", project_root), limits), limits)
    app.add_api_route("/busy", lambda: done.wait(30))
    with (
        served_in_thread(app, limits) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port_of(server)}") as client,
    ):
        busy = threading.Thread(target=lambda: httpx.get(f"{client.base_url}/busy", timeout=60))
        busy.start()
        time.sleep(0.5)
        try:
            assert client.get("/healthz", timeout=5).json() == {"status": "ok"}
        finally:
            done.set()
            busy.join()


def test_what_there_is_not_is_told_as_a_problem(service: Served) -> None:
    with service.client() as client:
        answer = client.get("/v2/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/metrics", 200),
        ("/v1/openapi.json", 200),
        ("/v1/datasets", 200),
        ("/v1/datasets/quality/anomalies/rows?limit=2", 200),
        ("/v1/datasets/quality/anomalies/rows?limit=all&format=ndjson", 200),
        ("/v1/datasets/quality/anomalies/rows?limit=all&format=xlsx", 200),
        ("/v1/datasets/quality/nothing/rows", 404),
        ("/cases", 200),
        ("/v1/ingest/securities_trading/metric_instances", 405),
    ],
)
def test_head_says_what_get_would_say_and_no_more(service: Served, path: str, status: int) -> None:
    # HEAD need not say how a body is cut, and figures have changed by the next time.
    besides = {"date", "x-request-id", "transfer-encoding", *(["content-length"] if path == "/metrics" else [])}
    with service.client("steward") as client:
        got, head = client.get(path), client.head(path)
        assert (got.status_code, head.status_code, head.content) == (status, status, b"")
        said = [{k: v for k, v in answer.headers.items() if k not in besides} for answer in (got, head)]
        assert said[0] == said[1]
        # The connection is as it was.
        assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/healthz", "POST", "GET, HEAD"),
        ("/v1/openapi.json", "POST", "GET, HEAD"),
        ("/v1/datasets/quality/anomalies/rows", "DELETE", "GET, HEAD"),
        ("/v1/ingest/securities_trading/metric_instances", "GET", "POST"),
        ("/v1/ingest/securities_trading/metric_instances", "HEAD", "POST"),
        ("/sign-in", "PUT", "GET, HEAD, POST"),
    ],
)
def test_a_method_that_is_refused_is_told_all_those_that_are_not(
    service: Served, path: str, method: str, allowed: str
) -> None:
    with service.client("steward") as client:
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert all(client.request(one, path).status_code != 405 for one in allowed.split(", "))


def test_figures_name_routes_and_not_what_was_asked_for(service: Served) -> None:
    with service.client() as client:
        client.get("/healthz")
        client.head("/healthz")
        client.get("/secret/path?secret=query")
        figures = client.get("/metrics").text
    assert 'omgov_requests_total{method="GET",route="/healthz",status="200"}' in figures
    assert 'omgov_requests_total{method="HEAD",route="/healthz",status="200"}' in figures
    assert "secret" not in figures


def test_a_home_that_lost_its_audit_is_not_served(tmp_path: Path, project_root: Path) -> None:
    home = Home(tmp_path / "home", project_root)
    settings = Settings(home.path, home.project)
    with open_log(Lake(settings.lake, settings.dataset_contracts), settings.audit) as log:
        path = log.path
        log.record(Decision(datetime.now(UTC), "nobody", "one/thing", "deny", "to have something on record"))
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    refused = home.omgov("serve", "--port", "0", expected=(1,))
    assert "omgov audit recover" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_rules_that_become_unreadable_let_nobody_in_and_it_is_not_ready(tmp_path: Path, project_root: Path) -> None:
    for folder in ("governance", "expectations"):
        shutil.copytree(project_root / folder, tmp_path / "project" / folder)
    home = Settings(tmp_path / "home", tmp_path / "project")
    rules = home.governance / "access" / "datasets.cedar"
    sound = rules.read_text(encoding="utf-8")
    with served(home) as running, running.client() as client:
        assert client.get("/readyz").status_code == 200
        rules.write_text(sound + "\npermit (", encoding="utf-8")
        assert _within_seconds(lambda: client.get("/readyz").status_code == 503)
        assert client.get("/readyz").json()["rules"] == "not readable: nobody is let in"
        rules.write_text(sound, encoding="utf-8")
        assert _within_seconds(lambda: client.get("/readyz").status_code == 200)


def test_a_file_that_cannot_even_be_looked_at_does_not_end_the_watch(tmp_path: Path, project_root: Path) -> None:
    for folder in ("governance", "expectations"):
        shutil.copytree(project_root / folder, tmp_path / "project" / folder)
    home = Settings(tmp_path / "home", tmp_path / "project")
    loop = home.governance / "access" / "loop.cedar"
    with served(home) as running, running.client() as client:
        loop.symlink_to(loop)
        assert _within_seconds(lambda: client.get("/readyz").status_code == 503)
        loop.unlink()
        assert _within_seconds(lambda: client.get("/readyz").status_code == 200)


@pytest.mark.parametrize("store", ["shares", "link keys", "tokens"])
def test_a_store_that_cannot_be_opened_makes_it_not_ready_and_the_log_says_why_once(
    store: str, tmp_path: Path, project_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = Settings(tmp_path / "home", project_root)
    file = {"shares": home.shares, "link keys": home.link_keys, "tokens": home.tokens}[store]
    part_of_it = store.replace(" ", "_")
    caplog.set_level("INFO", "omgov.service")

    def said() -> list[tuple[str, str]]:
        return [(line.levelname, line.message) for line in caplog.records if store in line.message]

    with served(home) as running, running.client("steward") as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()[part_of_it]) == (200, "ok")
        # The service has it open: as when a backup is put in its place.
        part = file.with_name("restored")
        part.write_bytes(b"nothing that could be read" * 100)
        part.replace(file)
        for beside in ("-wal", "-shm"):
            file.with_name(f"{file.name}{beside}").unlink(missing_ok=True)
        for _ in range(3):
            ready = client.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
            assert ready.json()[part_of_it] == "not readable"
            assert [name for name, state in ready.json().items() if state != "ok"] == ["status", part_of_it]
            if store == "shares":
                assert client.get("/sharing/shares").status_code == 503
        assert said() == [("ERROR", f"{store} cannot be used")]
        (told,) = [line for line in caplog.records if store in line.message]
        assert str(file) in vars(told)["reason"]
        assert str(file) not in ready.text
        file.unlink()
        if store == "link keys":
            LinkKeys(file).rotate(datetime.now(UTC))
        assert client.get("/readyz").status_code == 200
        assert said()[1:] == [("INFO", f"{store} can be used again")]


def test_why_who_asks_cannot_be_proved_or_links_not_be_signed_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "omgov.service")
    for kind, store in ((TokenError, "tokens"), (LinkKeyError, "link keys")):
        for why in ("of another version", "of another version", "not this user's", "of another version"):
            error = AuthenticationError("store_unavailable", why) if kind is TokenError else LinkKeyError(why)
            if kind is TokenError:
                error.__cause__ = TokenError(why)
            assert problem_of(error).status == 503
        told = [line.reason for line in caplog.records if store in line.message]  # type: ignore[attr-defined]
        assert told == ["of another version", "not this user's"]
        UNUSABLE.usable(store)


def test_whoever_asks_while_nothing_can_be_put_on_record_is_told_when_to_come_again() -> None:
    problem = problem_of(AuditUnavailableError("no room"))
    assert (problem.status, problem.code, problem.headers) == (503, "not_on_record", {"Retry-After": "10"})


def _within_seconds(holds: object, seconds: float = 20) -> bool:
    assert callable(holds)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("arguments", [["--host", "0.0.0.0"], ["--root-path", "omgov"], ["--tls-key", "README.md"]])  # noqa: S104
def test_options_that_would_serve_amiss_are_refused(arguments: list[str], tmp_path: Path, project_root: Path) -> None:
    refused = Home(tmp_path, project_root).omgov("serve", *arguments, expected=(1,))
    assert "omgov:" in refused.stderr
