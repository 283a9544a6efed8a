"""What a steward reads in the Dagster UI: a check's result, fetched from a running web server, recomputed from the
lake.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from lake_content import rows_of
from nights import DAY, Home

pytestmark = pytest.mark.xdist_group("night")

QUERY = """
query Checks($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      assetChecksOrError {
        ... on AssetChecks {
          checks {
            name
            blocking
            executionForLatestMaterialization {
              evaluation {
                success
                severity
                description
                metadataEntries {
                  label
                  ... on IntMetadataEntry { intValue }
                  ... on TextMetadataEntry { text }
                  ... on TableMetadataEntry { table { records } }
                }
              }
            }
          }
        }
      }
    }
  }
}
"""


@pytest.fixture(scope="module")
def web_server(night: Home) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**night.environment, "DAGSTER_HOME": str(night.path / "dagster")}
    log = (night.path / "tmp" / "web_server.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port),
         "-m", "omgov_assets.definitions"],
        env=environment, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=2).status_code == httpx.codes.OK:
                    break
            except httpx.TransportError:
                time.sleep(0.5)
        else:
            pytest.fail(f"the web server did not come up:\n{Path(log.name).read_text()[-3000:]}")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=30)
        log.close()


def checks_of(server: str, system: str, dataset: str) -> dict[str, dict[str, Any]]:
    answer = httpx.post(
        f"{server}/graphql", json={"query": QUERY, "variables": {"key": {"path": [system, dataset]}}}, timeout=60
    ).json()
    checks = answer["data"]["assetNodeOrError"]["assetChecksOrError"]["checks"]
    return {check["name"]: check for check in checks}


@pytest.mark.parametrize(
    ("system", "dataset"),
    [
        ("securities_trading", "metric_instances"),
        ("wealth_management", "metric_definitions"),
        ("cmdb", "configuration_items"),
    ],
)
def test_every_number_of_a_check_is_what_the_lake_says(web_server: str, night: Home, system: str, dataset: str) -> None:
    lake = night.path / "lake"
    of_dataset = f"system = '{system}' AND dataset = '{dataset}'"
    checks = checks_of(web_server, system, dataset)
    dimensions = {d for (d,) in rows_of(lake, "quality/check_results", "DISTINCT quality_dimension", of_dataset)}
    assert set(checks) == dimensions
    for dimension, check in checks.items():
        evaluation = check["executionForLatestMaterialization"]["evaluation"]
        entries = {entry["label"]: entry for entry in evaluation["metadataEntries"]}
        shown = {record["policy"]: record for record in map(_record, entries["policies"]["table"]["records"])}
        stored = rows_of(
            lake, "quality/check_results", "policy_id, verdict, evaluated, failed",
            f"{of_dataset} AND quality_dimension = '{dimension}'",
        )  # fmt: skip
        assert set(shown) == {policy for policy, *_ in stored}
        for policy, verdict, evaluated, failed in stored:
            rows = rows_of(
                lake, "quality/violations", "subject_key, record_no", f"{of_dataset} AND policy_id = '{policy}'"
            )
            assert len(rows) == failed
            assert (shown[policy]["verdict"], shown[policy]["evaluated"], shown[policy]["failed"]) == (
                verdict, evaluated, failed,
            )  # fmt: skip
            assert shown[policy]["failed_percent"] == round(100 * failed / evaluated if evaluated else 0, 3)
        failing = [failed for _, verdict, _, failed in stored if verdict == "failed"]
        assert entries["failed_policies"]["intValue"] == len(failing)
        assert entries["failed_rows"]["intValue"] == sum(failing)
        assert evaluation["success"] == (not failing)
        assert evaluation["severity"] == "WARN"
        assert check["blocking"] is True
        assert entries["day"]["text"] == DAY


def test_evaluated_rows_are_the_rows_of_the_dataset(web_server: str, night: Home) -> None:
    lake = night.path / "lake"
    check = checks_of(web_server, "investment_banking", "metric_instances")["uniqueness"]
    entries = {e["label"]: e for e in check["executionForLatestMaterialization"]["evaluation"]["metadataEntries"]}
    (record,) = map(_record, entries["policies"]["table"]["records"])
    ids = [key for (key,) in rows_of(lake, "investment_banking/metric_instances", "instance_id")]
    assert record["evaluated"] == len(ids)
    assert record["failed"] == sum(times for times in Counter(ids).values() if times > 1)


def _record(text: Any) -> dict[str, Any]:
    document = json.loads(text) if isinstance(text, str) else text
    return document.get("data", document)
