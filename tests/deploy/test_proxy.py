"""What `deploy/` ships keeps its word: real Caddy with its Caddyfile, before the services as their units run them."""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from deployment import free_ports, read_unit, started, wait_until_open
from tls_files import write_certificate

from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.data_lake.settings import Settings

CADDY = shutil.which("caddy")
pytestmark = pytest.mark.skipif(CADDY is None, reason="Caddy is not installed")

OMGOV, STEWARDS, ENGINEERS = "omgov.localhost", "stewards.localhost", "engineers.localhost"
STEWARD, ENGINEER = ("steward", "steward-password"), ("engineer", "engineer-password")
# As `caddy hash-password` makes them, but of the lowest cost.
HASHES = {
    "stewards": "steward $2b$04$abcdefghijklmnopqrstuuS1P4GmQ5JWpjReapaIvPHT6wffuPcqu\n",
    "engineers": "engineer $2b$04$abcdefghijklmnopqrstuuDL4XjgDMTXcpf5jqFslq1TLWctgruRW\n",
}
REPOSITORY = 'repositoryName: "__repository__", repositoryLocationName: "omgov_assets.definitions"'


@dataclass(frozen=True)
class Site:
    """The proxy with all that is behind it.

    Attributes:
        port: of HTTPS.
        certificate: what clients trust.
        settings: the home of the interface service.
        environment: what the Caddyfile was adapted by.
        folder: where logs are.
    """

    port: int
    certificate: Path
    settings: Settings
    environment: dict[str, str]
    folder: Path

    def ask(self, host: str, path: str, method: str = "GET", **asked: Any) -> httpx.Response:
        """The answer of a host that the proxy answers for."""
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        headers = {"Host": f"{host}:{self.port}", **asked.pop("headers", {})}
        with httpx.Client(verify=trusted, timeout=60) as client:
            request = client.build_request(
                method,
                f"https://127.0.0.1:{self.port}{path}",
                headers=headers,
                extensions={"sni_hostname": host},
                **{name: value for name, value in asked.items() if name != "auth"},
            )
            return client.send(request, auth=asked.get("auth"))

    def graphql(self, host: str, query: str, auth: tuple[str, str] | None, **headers: str) -> httpx.Response:
        """The answer of Dagster."""
        return self.ask(host, "/graphql", "POST", json={"query": query}, auth=auth, headers=headers)


def caddy_environment(folder: Path, ports: list[int]) -> dict[str, str]:
    """All that the Caddyfile is adapted by; nothing of it leads out of a folder."""
    certificate, key = write_certificate(folder, OMGOV, STEWARDS, ENGINEERS)
    for group, line in HASHES.items():
        (folder / group).write_text(line)
    https, http, serve, readonly, full = ports
    return {
        "OMGOV_CADDY_ADMIN": "off",
        "OMGOV_CADDY_STORAGE": str(folder / "storage"),
        "OMGOV_HTTP_PORT": str(http),
        "OMGOV_HTTPS_PORT": str(https),
        "OMGOV_PROXY_LOG": f"file {folder}/error.log",
        "OMGOV_ACCESS_LOG": f"file {folder}/access.log",
        "OMGOV_TLS_CERTIFICATE": str(certificate),
        "OMGOV_TLS_KEY": str(key),
        "OMGOV_PROXY_USERS": str(folder),
        "OMGOV_HOST": OMGOV,
        "OMGOV_STEWARDS_HOST": STEWARDS,
        "OMGOV_ENGINEERS_HOST": ENGINEERS,
        "OMGOV_SERVE": f"127.0.0.1:{serve}",
        "OMGOV_DAGSTER_READONLY": f"127.0.0.1:{readonly}",
        "OMGOV_DAGSTER": f"127.0.0.1:{full}",
        "OMGOV_LARGEST_BODY": "4MB",
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    ports = free_ports(5)
    environment = caddy_environment(folder, ports)
    https, _, serve_port, readonly_port, _ = ports
    settings = Settings(folder / "home", project_root)
    # The web server of stewards finds nothing but Dagster's own store.
    dagster_home = folder / "other-home" / "dagster"
    dagster_home.mkdir(parents=True)
    (dagster_home / "dagster.yaml").symlink_to(project_root / "dagster.yaml")
    homes = {
        "omgov-serve": {
            "OMGOV_HOME": str(settings.home),
            "OMGOV_SERVE_PORT": str(serve_port),
            "OMGOV_SERVE_WORKERS": "1",
        },
        "omgov-dagster-webserver-readonly": {
            "OMGOV_HOME": str(dagster_home.parent),
            "DAGSTER_HOME": str(dagster_home),
            "OMGOV_DAGSTER_READONLY_PORT": str(readonly_port),
        },
    }
    with ExitStack() as running:
        waited_for = []
        for name, own in homes.items():
            unit = read_unit(project_root / "deploy" / "systemd" / f"{name}.service")
            given = unit.environment | {"OMGOV_PROJECT": str(project_root)} | own
            log = folder / f"{name}.log"
            process = running.enter_context(started(unit.command(given), given, log, project_root))
            waited_for.append((process, log))
        command = [str(CADDY), "run", "--config", str(project_root / "deploy" / "Caddyfile"), "--adapter", "caddyfile"]
        caddy = running.enter_context(started(command, environment, folder / "caddy.log", folder))
        wait_until_open(https, caddy, folder / "caddy.log")
        for port, (process, log) in zip((serve_port, readonly_port), waited_for, strict=True):
            wait_until_open(port, process, log)
        yield Site(https, Path(environment["OMGOV_TLS_CERTIFICATE"]), settings, environment, folder)


def test_nobody_opens_dagster_without_a_name_that_may(site: Site) -> None:
    for host in (STEWARDS, ENGINEERS):
        for path in ("/", "/graphql?query={version}", "/server_info", "/logs/a", "/favicon.png"):
            assert site.ask(host, path).status_code == 401
    assert site.ask(STEWARDS, "/server_info", auth=("steward", "guess")).status_code == 401
    assert site.ask(ENGINEERS, "/server_info", auth=STEWARD).status_code == 401
    # Let through; nothing listens behind in this test.
    assert site.ask(ENGINEERS, "/server_info", auth=ENGINEER).status_code == 502


def test_a_steward_sees_dagster_and_starts_nothing(site: Site) -> None:
    page = site.ask(STEWARDS, "/", auth=STEWARD)
    assert (page.status_code, page.headers["X-Frame-Options"]) == (200, "DENY")
    seen = site.graphql(STEWARDS, "{repositoriesOrError{... on RepositoryConnection{nodes{schedules{name}}}}}", STEWARD)
    assert seen.json()["data"]["repositoriesOrError"]["nodes"] == [{"schedules": [{"name": "nightly"}]}]

    permissions = site.graphql(STEWARDS, "{permissions{permission value}}", STEWARD).json()["data"]["permissions"]
    assert {one["permission"] for one in permissions if one["value"]} == set()
    for refused in (
        f'startSchedule(scheduleSelector: {{{REPOSITORY}, scheduleName: "nightly"}})',
        f'launchRun(executionParams: {{selector: {{{REPOSITORY}, pipelineName: "nightly"}}, mode: "default"}})',
        f'setSensorCursor(sensorSelector: {{{REPOSITORY}, sensorName: "landing"}}, cursor: "a")',
        f'addDynamicPartition(repositorySelector: {{{REPOSITORY}}}, partitionsDefName: "a", partitionKey: "b")',
        'deleteRun(runId: "a")',
        'wipeAssets(assetPartitionRanges: [{assetKey: {path: ["a"]}}])',
        'reportRunlessAssetEvents(eventParams: {eventType: ASSET_MATERIALIZATION, assetKey: {path: ["a"]}})',
        'shutdownRepositoryLocation(repositoryLocationName: "omgov_assets.definitions")',
        "reloadWorkspace",
    ):
        answer = site.graphql(STEWARDS, f"mutation {{ {refused} {{ __typename }} }}", STEWARD)
        assert [one["__typename"] for one in answer.json()["data"].values()] == ["UnauthorizedError"]
    for refused in ("setAutoMaterializePaused(paused: true)", 'setConcurrencyLimit(concurrencyKey: "a", limit: 5)'):
        assert "Unauthorized" in site.graphql(STEWARDS, f"mutation {{ {refused} }}", STEWARD).text
    for reported in ("materialization", "observation", "check"):
        assert site.ask(STEWARDS, f"/report_asset_{reported}/a", "POST", auth=STEWARD).status_code == 401


def test_a_page_elsewhere_does_nothing_with_the_password_that_the_browser_keeps(site: Site) -> None:
    own = f"https://{STEWARDS}:{site.port}"
    assert site.graphql(STEWARDS, "{version}", STEWARD, Origin=own).status_code == 200
    for foreign in (
        {"Origin": "https://other.example.com"},
        {"Origin": "null"},
        {"Origin": f"http://{STEWARDS}:{site.port}"},
        {"Origin": f"{own}.example.com"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        for host, known in ((STEWARDS, STEWARD), (ENGINEERS, ENGINEER)):
            for method in ("GET", "POST"):
                # As a form or an image would; Dagster takes both.
                asked = site.ask(host, "/graphql?query={version}", method, auth=known, headers=foreign)
                assert asked.status_code == 403
    opened = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
        "Sec-WebSocket-Protocol": "graphql-ws",
        "Origin": "https://other.example.com",
    }
    assert site.ask(STEWARDS, "/graphql", auth=STEWARD, headers=opened).status_code == 403


def test_the_interface_service_proves_by_itself_who_asks(site: Site) -> None:
    assert site.ask(OMGOV, "/healthz").json() == {"status": "ok"}
    assert site.ask(OMGOV, "/v1/datasets").status_code == 401
    assert site.ask(OMGOV, "/v1/datasets", auth=STEWARD).status_code == 401
    with TokenStore(site.settings.tokens) as tokens:
        token, _ = tokens.create("steward", ["read:*"], datetime.now(UTC), timedelta(days=1))
    answer = site.ask(OMGOV, "/v1/datasets", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics/",
        "/metrics?a=b",
        "/METRICS",
        "/%6detrics",
        "/%6Detric%73",
        "//metrics",
        "/./metrics",
        "/v1/../metrics",
        "/v1/%2e%2e/metrics",
        "/readyz",
        "/%72eadyz",
    ],
)
def test_figures_stay_inside_however_they_are_asked_for(site: Site, path: str) -> None:
    url = httpx.URL(f"https://127.0.0.1:{site.port}").copy_with(raw_path=path.encode())
    trusted = ssl.create_default_context(cafile=str(site.certificate))
    with httpx.Client(verify=trusted) as client:
        request = client.build_request(
            "GET", url, headers={"Host": f"{OMGOV}:{site.port}"}, extensions={"sni_hostname": OMGOV}
        )
        answer = client.send(request)
    assert answer.status_code == 404
    assert "omgov_requests" not in answer.text
    assert "audit" not in answer.text


def test_what_is_too_large_does_not_get_in(site: Site) -> None:
    headers = {"X-A": "a" * 40_000}
    assert site.ask(OMGOV, "/healthz", headers=headers).status_code == 431
    for _ in range(5):
        assert site.ask(OMGOV, "/v1/datasets", "POST", content=b"a" * 2_000_000).status_code == 413
    # From one who may push: others are refused before their body is read.
    with TokenStore(site.settings.tokens) as tokens:
        token, _ = tokens.create("trading_agent", ["write"], datetime.now(UTC), timedelta(days=1))
    push = {"Authorization": f"Bearer {token}", "Content-Type": "text/csv; charset=gbk"}
    answer = site.ask(
        OMGOV, "/v1/ingest/securities_trading/metric_instances", "POST", content=b"a" * 5_000_000, headers=push
    )
    # Caddy 2.6 calls what is too large for it a fault of what is behind it.
    assert answer.status_code in (413, 502), answer.text


def test_no_other_host_is_answered_for(site: Site) -> None:
    with pytest.raises(httpx.ConnectError):
        site.ask("other.localhost", "/healthz")
    # A certificate that was asked for one host opens no other.
    answer = site.ask(OMGOV, "/", headers={"Host": f"{STEWARDS}:{site.port}"})
    assert answer.status_code == 401


def test_logs_hold_neither_credentials_nor_queries(site: Site) -> None:
    secret = "x7-do-not-tell"  # noqa: S105 - nobody's
    headers = {"Authorization": f"Bearer {secret}", "Cookie": f"omgov={secret}", "X-Request-ID": f"{secret}-"}
    answer = site.ask(OMGOV, f"/healthz?q={secret}", headers=headers)
    site.ask(STEWARDS, f"/graphql?query={secret}", auth=("steward", secret), headers={"Referer": secret})
    assert answer.status_code == 200
    for log in site.folder.glob("*.log"):
        assert secret not in log.read_text(encoding="utf-8"), log
    asked = [json.loads(line) for line in (site.folder / "access.log").read_text(encoding="utf-8").splitlines()]
    assert {(line["request"]["host"].partition(":")[0], line["status"]) for line in asked} >= {
        (OMGOV, 200),
        (STEWARDS, 401),
    }
    assert {line["request"]["uri"] for line in asked} >= {"/healthz", "/graphql"}
    assert "headers" not in asked[-1]["request"]


@pytest.mark.parametrize("sign_in", ["password", "oidc"])
def test_the_caddyfile_is_valid_and_as_caddy_writes_it(sign_in: str, tmp_path: Path, project_root: Path) -> None:
    file = project_root / "deploy" / "Caddyfile"
    environment = caddy_environment(tmp_path, [8443, 8080, 1, 2, 3]) | {
        "OMGOV_SIGN_IN": sign_in,
        "PATH": "/usr/bin:/bin",
    }
    command = [str(CADDY), "validate", "--config", str(file), "--adapter", "caddyfile"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "Valid configuration" in done.stdout + done.stderr) == (0, True), done.stderr
    formatted = subprocess.run([str(CADDY), "fmt", str(file)], capture_output=True, text=True, check=False, timeout=60)
    assert formatted.stdout == file.read_text(encoding="utf-8")
