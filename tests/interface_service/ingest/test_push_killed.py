"""`omgov serve` is killed at drawn times while it is pushed to: what it acknowledged is there, once.

OMGOV_PUSH_KILLS in the environment says how often it is killed; more than by default take their time.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from nights import OMGOV, Home
from pushing import AGENT, DAY, build_pushed_firm, judged, push
from served import token_of
from small_firm import COLUMNS, SYSTEM, SmallFirm, csv_text, instance

from omgov_assets.admission.ledger import LEDGER

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"
KILLS = int(os.environ.get("OMGOV_PUSH_KILLS", "3"))
SEED = 7


@pytest.fixture
def firm(tmp_path: Path) -> SmallFirm:
    return build_pushed_firm(tmp_path)


def test_no_acknowledged_batch_is_lost_and_none_counts_twice(firm: SmallFirm) -> None:
    drawn = random.Random(SEED)  # noqa: S311 - drawn the same every time
    port = free_port()
    acknowledged: dict[str, bytes] = {}
    lock, numbers = threading.Lock(), iter(range(1_000_000))

    def pushing(client: httpx.Client, stop: threading.Event) -> None:
        content = b""
        while not stop.is_set():
            if not content:
                with lock:
                    number = next(numbers)
                records = [instance(ci=f"H{number}-{row}") for row in range(drawn.choice((1, 50, 500)))]
                content = csv_text(COLUMNS[SYSTEM, DATASET], records).encode()
            # As long as there is no answer the same body is pushed again, as a client would do.
            with suppress(httpx.TransportError):
                answer = push(client, content, Idempotency_Key=f"push-{number}")
                if answer.status_code == 202:
                    with lock:
                        acknowledged[answer.json()["batch_id"]] = content
                    content = b""
            stop.wait(0.4)

    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {token_of(firm.settings, AGENT)}"},
        timeout=20,
    ) as client:
        stop = threading.Event()
        threads = [threading.Thread(target=pushing, args=(client, stop)) for _ in range(2)]
        for kill in range(KILLS):
            with serving(firm, port) as process:
                if kill == 0:
                    for thread in threads:
                        thread.start()
                before = len(acknowledged)
                wait_until(lambda before=before: len(acknowledged) > before)  # type: ignore[misc]
                time.sleep(drawn.uniform(0, 1.0))
                process.send_signal(signal.SIGKILL)
                process.wait()
        stop.set()
        for thread in threads:
            thread.join()
        assert len(acknowledged) >= KILLS
        landed = {path.read_bytes() for path in firm.folder(SYSTEM, DATASET, DAY).glob("received-*")}
        assert set(acknowledged.values()) <= landed
        with serving(firm, port):
            for content in list(acknowledged.values()):
                answer = push(client, content)
                found = judged(client, answer.headers["Location"], timeout_s=120)
                assert found["state"] == "admitted"
    counted = Counter(batch for (batch,) in firm.rows(LEDGER, "batch_id", None))
    assert {batch: counted[batch] for batch in acknowledged} == dict.fromkeys(acknowledged, 1)
    rows = Counter(batch for (batch,) in firm.rows(TABLE, "_batch_id", None))
    sent = {batch: content.count(b"\n") - 1 for batch, content in acknowledged.items()}
    assert {batch: rows[batch] for batch in acknowledged} == sent


@contextmanager
def serving(firm: SmallFirm, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The real command, until the context ends or something kills it."""
    home = Home(firm.settings.home, firm.settings.project)
    command = [*OMGOV, "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=home.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said: list[bytes] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lambda: said.extend(process.stderr or ()))
    reader.start()
    try:
        wait_until(lambda: process.poll() is not None or _answers(port))
        assert process.poll() is None, b"".join(said).decode()
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)
        reader.join()
        process.stderr.close()
    assert process.returncode in (0, -signal.SIGKILL), b"".join(said[-20:]).decode()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def wait_until(holds: object, timeout_s: float = 180) -> None:
    assert callable(holds)
    until = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)
