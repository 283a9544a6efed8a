"""The interface service as it is run: ``omgov serve`` as a process, or its app under uvicorn in a thread of a test."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from omgov_assets.interface_service.limits import Limits
from omgov_assets.interface_service.patience import PatientProtocol

OMGOV = [sys.executable, "-c", "import sys; from omgov_assets.cli import main; sys.exit(main())"]
# No option of it: nobody but a test is in such a hurry.
_HASTY = """
import sys
from omgov_assets.cli import main
from omgov_assets.interface_service.limits import Limits
from omgov_assets.interface_service.patience import PatientProtocol
PatientProtocol.limits = Limits(shutdown_s={shutdown_s})
sys.exit(main())
"""
_STARTS_WITHIN_S = 60


@dataclass(frozen=True)
class Process:
    """A running ``omgov serve``.

    Attributes:
        pid: its process.
        port: where it listens, on 127.0.0.1.
        log: file that its log goes to.
    """

    pid: int
    port: int
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """Its log; each line must be a JSON object."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").split("\n") if line]


@contextmanager
def served_by_process(
    home: Path,
    project: Path,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    shutdown_s: int | None = None,
) -> Iterator[Process]:
    """``omgov serve`` on a port of its own choosing, until the context ends; then it must leave within seconds.

    ``shutdown_s``: what it leaves requests to end in; what ``Limits`` says where None.
    """
    command = OMGOV if shutdown_s is None else [sys.executable, "-c", _HASTY.format(shutdown_s=shutdown_s)]
    home.mkdir(parents=True, exist_ok=True)
    log = home / "serve.log"
    settings = {"OMGOV_HOME": str(home), "OMGOV_PROJECT": str(project), **(environment or {})}
    with log.open("w") as written:
        process = subprocess.Popen(
            [*command, "serve", "--port", "0", *options],
            env={**os.environ, **settings},
            stderr=written,
            cwd=Path(__file__).resolve().parents[2],
        )
    try:
        yield Process(process.pid, _port_of(process, log), log)
    finally:
        process.send_signal(signal.SIGTERM)
        left_with = process.wait(30)
    assert left_with == 0, log.read_text(encoding="utf-8")


def _port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"running on https?://[^:]+:(\d+)", log.read_text(encoding="utf-8")):
            return int(found[1])
        time.sleep(0.05)
    raise AssertionError(f"omgov serve did not start: {log.read_text(encoding='utf-8')}")


@contextmanager
def served_in_thread(app: FastAPI, limits: Limits, send_buffer: int | None = None) -> Iterator[uvicorn.Server]:
    """An app under uvicorn with limits of a test's own, as ``omgov serve`` runs it; ``port_of`` says where.

    Args:
        app: such as of ``create_app``.
        limits: what it has patience for.
        send_buffer: bytes that the system takes of an answer before the client does.
    """

    class Impatient(PatientProtocol):
        pass

    Impatient.limits = limits
    with socket.socket() as listening:
        if send_buffer is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            http=Impatient,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=limits.connections,
            timeout_keep_alive=limits.idle_s,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield server
        finally:
            server.should_exit = True
            thread.join(30)
    assert not thread.is_alive()


def port_of(server: uvicorn.Server) -> int:
    """Where a server of ``served_in_thread`` listens."""
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
