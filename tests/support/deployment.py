"""What ``deploy/`` ships, run as it says: units of systemd as plain processes, Caddy with the Caddyfile as it is."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

INSTALLED = "/opt/omgov/venv/bin/"


@dataclass(frozen=True)
class Unit:
    """A unit file.

    Attributes:
        name: of the file.
        settings: (section, name, value), in their order.
    """

    name: str
    settings: list[tuple[str, str, str]]

    def values(self, name: str) -> list[str]:
        """The values of a setting of the service."""
        return [value for section, one, value in self.settings if (section, one) == ("Service", name)]

    @property
    def environment(self) -> dict[str, str]:
        """What the unit itself puts into the environment."""
        pairs = [pair for value in self.values("Environment") for pair in shlex.split(value)]
        return dict(pair.split("=", 1) for pair in pairs)

    def command(self, environment: Mapping[str, str]) -> list[str]:
        """Its command, of this environment's installation."""
        (line,) = self.values("ExecStart")
        return self.words(line, environment)

    @staticmethod
    def words(line: str, environment: Mapping[str, str]) -> list[str]:
        """A command line of a unit, of this environment's installation."""
        return [
            re.sub(r"\$\{(\w+)\}", lambda named: environment[named[1]], word).replace(
                INSTALLED, f"{Path(sys.executable).parent}/"
            )
            for word in line.split()
        ]


def read_unit(file: Path) -> Unit:
    """A unit file; one that is no such file raises ``ValueError``."""
    section, settings = "", []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if named := re.fullmatch(r"\[(\w+)\]", line):
            section = named[1]
            continue
        name, equals, value = line.partition("=")
        if not equals or not section or not re.fullmatch(r"[A-Za-z]+", name):
            raise ValueError(f"{file.name}: {line!r} is no setting")
        settings.append((section, name, value))
    return Unit(file.name, settings)


@contextmanager
def started(
    command: list[str], environment: Mapping[str, str], log: Path, cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, until the context ends; its output goes to a file."""
    with log.open("w") as written:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=written, stderr=written, cwd=cwd)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path, within_s: float = 90) -> None:
    """Wait until something listens on a port of this machine."""
    deadline = time.monotonic() + within_s
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens: {log.read_text(encoding='utf-8')[-4000:]}")


def free_ports(number: int) -> list[int]:
    """Ports that nothing listened on a moment ago."""
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in opened]
    for one in opened:
        one.close()
    return ports
