"""``omgov serve`` says in a sentence what keeps it from listening, before anything of it is started."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from nights import Home
from tls_files import write_certificate
from typer.testing import CliRunner

from omgov_assets.cli import app
from omgov_assets.interface_service.listening import opened_sockets


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def serve(home: Path, project: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["serve", *arguments, "--home", str(home), "--project", str(project)])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_told_before_anything_is_started(
    workers: str, taken: int, tmp_path: Path, project_root: Path
) -> None:
    # Of the service that listens there.
    figures = tmp_path / "serve" / f"figures-{taken}" / "counter.db"
    figures.parent.mkdir(parents=True)
    figures.touch()
    done = serve(tmp_path, project_root, "--port", str(taken), "--workers", workers)
    said = f"omgov: 127.0.0.1:{taken} is in use: give another --port, or end what listens there\n"
    assert (done.exit_code, done.stderr) == (1, said)
    assert figures.exists()


def test_the_process_ends_with_one_and_nothing_but_the_sentence(taken: int, tmp_path: Path, project_root: Path) -> None:
    refused = Home(tmp_path, project_root).omgov("serve", "--port", str(taken), expected=(1,))
    assert refused.stderr.startswith(f"omgov: 127.0.0.1:{taken} is in use")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        # Of a net for documentation (RFC 5737).
        (["--host", "192.0.2.1", "--port", "0"], "192.0.2.1:0: this machine has no such address"),
        (["--host", "nobody.invalid", "--port", "0"], "--host nobody.invalid: no such address"),
        (["--public-url", "foo"], "--public-url 'foo': write it as https://"),
        (["--public-url", "http://a.b/c?d"], "--public-url 'http://a.b/c?d': write it as https://"),
        (["--public-url", "https://a.b:port"], "--public-url 'https://a.b:port': write it as https://"),
        (["--public-url", "https://a.b/sharing"], "write it without /sharing"),
    ],
)
def test_what_cannot_be_served_is_a_sentence(
    arguments: list[str], said: str, tmp_path: Path, project_root: Path
) -> None:
    done = serve(tmp_path, project_root, "--plain-http", *arguments)
    assert done.exit_code == 1
    assert said in done.stderr


def test_a_port_of_root_is_told(tmp_path: Path, project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", address)

    monkeypatch.setattr(socket, "socket", Refused)
    done = serve(tmp_path, project_root, "--port", "443")
    assert done.exit_code == 1
    assert "127.0.0.1:443: the system keeps ports below 1024 to root; give another --port" in done.stderr


def test_a_key_that_does_not_fit_is_told(tmp_path: Path, project_root: Path) -> None:
    certificate, key = write_certificate(tmp_path, "localhost")
    other, locked, garbage = (tmp_path / name for name in ("other.pem", "locked.pem", "garbage.pem"))
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    made = ec.generate_private_key(ec.SECP256R1())
    other.write_bytes(made.private_bytes(pem, form, serialization.NoEncryption()))
    locked.write_bytes(made.private_bytes(pem, form, serialization.BestAvailableEncryption(b"secret")))
    garbage.write_text("no key")
    for wrong, said in (
        (other, "cannot be used together (key values mismatch)"),
        (locked, "cannot be used together"),
        (garbage, "cannot be used together"),
        (tmp_path / "none.pem", "--tls-key " + str(tmp_path / "none.pem") + " cannot be read (No such file"),
        (tmp_path, f"--tls-key {tmp_path} cannot be read (Is a directory)"),
    ):
        done = serve(tmp_path / "home", project_root, "--tls-certificate", str(certificate), "--tls-key", str(wrong))
        assert (done.exit_code, said in done.stderr) == (1, True), done.stderr
    done = serve(tmp_path / "home", project_root, "--tls-certificate", str(key), "--tls-key", str(key))
    assert (done.exit_code, "cannot be used together" in done.stderr) == (1, True)


def test_all_addresses_of_a_name_are_listened_on_at_one_port() -> None:
    opened = opened_sockets("localhost", 0)
    try:
        assert len({one.getsockname()[1] for one in opened}) == 1
        for one in opened:
            with socket.create_connection(one.getsockname()[:2]):
                pass
    finally:
        for one in opened:
            one.close()
