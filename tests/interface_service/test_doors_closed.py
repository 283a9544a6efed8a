"""Every door that the document of the interface names: closed to whoever proves nothing, and kept by no cache."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from served import Served, served

from omgov_assets.access_control.audit_lake import open_log
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings

# They tell nothing of the firm; and the document itself.
OPEN = {"/healthz", "/readyz", "/metrics"}
# Addresses that prove themselves, by a signature.
SIGNED = re.compile(r"/sharing/files/")
# What stands for parts of a path: as far as they go, things that are there.
PARTS = {"folder": "quality", "table": "anomalies", "dimension": "owner", "system": "securities_trading"}
DATASET_FOR = {"/v1/control/": "data_contracts", "/v1/ingest/": "metric_instances"}


def operations(client: httpx.Client) -> Iterator[tuple[str, str, str]]:
    """Method, template and address of each."""
    for template, methods in client.get("/v1/openapi.json").json()["paths"].items():
        named = next((table for start, table in DATASET_FOR.items() if template.startswith(start)), "")
        parts = PARTS | ({"table": named, "dataset": named} if named else {})
        address = re.sub(r"\{(\w+)(?::\w+)?\}", lambda part, parts=parts: parts.get(part[1], "none"), template)
        for method in sorted(set(methods) & {"get", "head", "post", "put", "patch", "delete"}):
            yield method.upper(), template, address


@pytest.mark.parametrize("authorization", [None, "Bearer x", "Basic c3Rld2FyZDp4", "Bearer omgov_x_y"])
def test_who_proves_nothing_gets_nothing_and_learns_nothing(service: Served, authorization: str | None) -> None:
    with service.client() as client:
        for method, template, address in operations(client):
            if template in OPEN:
                continue
            answer = client.request(method, address, headers={"Authorization": authorization} if authorization else {})
            assert answer.status_code == (403 if SIGNED.match(template) else 401), (method, template, answer.text)
            assert answer.headers["Cache-Control"] == "no-store", (method, template)
            assert len(answer.content) < 400, (method, template)


def test_where_the_rules_cannot_be_read_every_door_says_so_whoever_asks(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "home", tmp_path / "no-project")
    with served(settings) as running, running.client("steward") as steward, running.client() as nobody:
        doors = [*((method, at, path) for method, at, path in operations(nobody) if at not in OPEN), ("GET", "/", "/")]
        for client in (steward, nobody):
            for method, template, address in doors:
                answer = client.request(method, address)
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), (method, template)
                assert answer.headers["Cache-Control"] == "no-store", (method, template)
                assert "WWW-Authenticate" not in answer.headers
                if method == "HEAD":
                    continue
                if template == "/":
                    assert answer.headers["Content-Type"].startswith("text/html")
                elif template.startswith("/sharing/"):
                    assert answer.json()["errorCode"] == "TEMPORARILY_UNAVAILABLE", template
                else:
                    assert answer.json()["code"] == "rules_unreadable", template
                assert "The access rules cannot be read at present; nothing is given." in answer.text, template
                assert str(tmp_path) not in answer.text, template
        with open_log(Lake(settings.lake, settings.dataset_contracts), settings.audit) as log:
            (said,) = {(one.fields["decision"], one.fields["principal"]) for one in log.entries()}
            assert said == ("deny", "nobody")
            assert all("the access rules cannot be read" in one.fields["reason"] for one in log.entries())


def test_no_cache_gives_to_one_what_was_anothers(service: Served) -> None:
    given = set()
    with service.client("steward") as client:
        for method, template, address in operations(client):
            if template in OPEN or method != "GET":
                continue
            answer = client.get(address)
            kept = {one.strip() for one in answer.headers.get("Cache-Control", "").split(",")}
            varies = {one.strip().lower() for one in answer.headers.get("Vary", "").split(",")}
            assert "public" not in kept, template
            assert "no-store" in kept or ({"private", "no-cache"} <= kept and "authorization" in varies), template
            if answer.status_code == 200:
                given.add(template)
    assert "/v1/datasets" in given
    assert len(given) > 3
