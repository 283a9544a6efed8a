"""`omgov serve` is told to stop while a body comes: it is cut off in the end, which is no failure of the service."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from pushing import AGENT, DAY, build_pushed_firm
from raw_http import wire
from served import token_of
from service_process import served_by_process
from small_firm import SYSTEM

PATH = f"/v1/ingest/{SYSTEM}/metric_instances?day={DAY}"


def test_a_body_that_the_stop_cuts_off_is_told_so_and_leaves_nothing(tmp_path: Path) -> None:
    firm = build_pushed_firm(tmp_path)
    token = token_of(firm.settings, AGENT)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: omgov\r\nContent-Type: text/csv\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 1000000\r\n\r\n"
    )
    with (
        served_by_process(firm.settings.home, firm.settings.project, shutdown_s=1) as process,
        wire(process.port, timeout_s=30) as one,
    ):
        one.send(head.encode() + b"x" * 400_000)
        until = time.monotonic() + 20
        while not (landing := [path for path in firm.settings.landing.rglob("*") if path.is_file()]):
            assert time.monotonic() < until
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGTERM)
        answer = one.answer()
    assert answer is not None
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "stopping")
    assert answer.header("Connection") == "close"
    assert answer.header("Retry-After")
    assert not any(path.exists() for path in landing)
    lines = process.lines()
    (request,) = [line for line in lines if line["message"] == "request"]
    assert (request["route"], request["status"], request["level"]) == ("/v1/ingest/{system}/{dataset}", 503, "info")
    assert not [line for line in lines if "error" in line], "no trace of an exception"
