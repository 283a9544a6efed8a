"""A small firm that takes pushes: who may push, days that the service's clock agrees with, clients."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import yaml
from small_firm import REPOSITORY, SYSTEM, SmallFirm, build_small_firm

# The service goes by the real time.
TODAY = datetime.now(ZoneInfo("Asia/Shanghai")).date()
DAY = TODAY - timedelta(days=3)
FIRST_DAY = TODAY - timedelta(days=30)

AGENT, OTHER_AGENT, ENGINEER, CONSUMER = "agent", "other_agent", "engineer", "consumer"


def build_pushed_firm(root: Path, delivers: str = "csv", limits: Mapping[str, int] | None = None) -> SmallFirm:
    """A small firm with the access rules of the repository and agents of its systems; ``limits`` are its system's."""
    firm = build_small_firm(root, delivers)
    governance = firm.settings.governance
    shutil.copytree(REPOSITORY / "governance" / "access", governance / "access")
    path = governance / "access" / "access.yaml"
    access = yaml.safe_load(path.read_text(encoding="utf-8"))

    def principal(name: str, role: str, purpose: str, *systems: str, clearance: int = 1) -> dict[str, Any]:
        granted = {"id": name, "roles": [role], "clearance": clearance, "purposes": [purpose]}
        return {**granted, "systems": list(systems), "valid_until": TODAY + timedelta(days=300)}

    access["principals"] = [
        principal(AGENT, "data_source", "operations", SYSTEM),
        principal(OTHER_AGENT, "data_source", "operations", "cmdb"),
        principal(ENGINEER, "data_engineer", "operations", clearance=3),
        principal(CONSUMER, "business_consumer", "reporting", SYSTEM),
    ]
    access["mask_key"]["valid_until"] = TODAY + timedelta(days=300)
    path.write_text(yaml.safe_dump(access, sort_keys=False, allow_unicode=True), encoding="utf-8")
    firm_yaml = governance / "firm.yaml"
    firm_yaml.write_text(firm_yaml.read_text().replace("2026-11-01", FIRST_DAY.isoformat()))
    if limits:
        path = firm.system_folder / "defs.yaml"
        document = yaml.safe_load(path.read_text())
        for transport in document["attributes"]["datasets"].values():
            transport["limits"] = dict(limits)
        path.write_text(yaml.safe_dump(document, sort_keys=False))
    return firm


def push(
    client: httpx.Client,
    content: Any,
    dataset: str = "metric_instances",
    day: date | str | None = DAY,
    content_type: str = "text/csv",
    system: str = SYSTEM,
    **headers: str,
) -> httpx.Response:
    """Push a body; ``_`` in names of headers stands for ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(
        f"/v1/ingest/{system}/{dataset}",
        params={} if day is None else {"day": str(day)},
        content=content,
        headers={"Content-Type": content_type, **named},
    )


def judged(client: httpx.Client, location: str, timeout_s: float = 60) -> dict[str, Any]:
    """What became of a push, as soon as anything did."""
    until = time.monotonic() + timeout_s
    while True:
        answer = client.get(location)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        if found["state"] != "received":
            return found
        assert time.monotonic() < until, found
        time.sleep(0.05)
