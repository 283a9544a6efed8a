"""Where the service listens: sockets and certificates that are tried before anything else is started.

Owns one rule: what keeps the service from listening is found before any process of it is begun, and told as a
sentence. Does not belong here: processes (``processes``), what a client may do with a connection (``patience``).
"""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import ExitStack
from pathlib import Path

_SAID = {
    errno.EADDRINUSE: "{where} is in use: give another --port, or end what listens there",
    errno.EADDRNOTAVAIL: "{where}: this machine has no such address; give --host one of its own",
    errno.EACCES: "{where}: the system keeps ports below 1024 to root; give another --port, and a proxy before it",
}
# An address that this machine has not, among others of one name that it has: ::1 of localhost without IPv6.
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class CannotListenError(Exception):
    """The service cannot listen as it is told to; says what to do."""


def opened_sockets(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at all addresses of a host, all on one port; who connects waits until there is an answer.

    Args:
        host: name or address.
        port: port; 0 for any that is free.

    Raises:
        CannotListenError: another process listens there, the address is not this machine's, or it is not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise CannotListenError(f"--host {host}: no such address ({error}); give one of this machine's") from error
    opened: list[socket.socket] = []
    with ExitStack() as closed_on_error:
        absent: list[OSError] = []
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                one = closed_on_error.enter_context(socket.socket(family, socket.SOCK_STREAM))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    # Or it would take the port of the other family as well.
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                chosen = opened[0].getsockname()[1] if opened else port
                one.bind((address[0], chosen, *address[2:]))
                # At once: of two that are bound, only the second one to listen is refused.
                one.listen()
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise CannotListenError(_said(host, port, error)) from error
                absent.append(error)
                continue
            one.set_inheritable(True)
            opened.append(one)
        if not opened:
            raise CannotListenError(_said(host, port, absent[0])) from absent[0]
        closed_on_error.pop_all()
    return opened


def require_certificate(certificate: Path, key: Path) -> None:
    """Load a certificate chain and its key. Raises ``CannotListenError`` where they cannot be read or do not fit."""
    for option, file in (("--tls-certificate", certificate), ("--tls-key", key)):
        try:
            with file.open("rb"):
                pass
        except OSError as error:
            raise CannotListenError(f"{option} {file} cannot be read ({error.strerror})") from error
    try:
        # A password, so that nobody is asked for one at a terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="none")  # noqa: S106
    except (ssl.SSLError, OSError) as error:
        reason = (getattr(error, "reason", None) or "no such content").replace("_", " ").lower()
        raise CannotListenError(
            f"--tls-certificate {certificate} and --tls-key {key} cannot be used together ({reason}); give the chain "
            "in PEM, the server's own certificate first, and the key of that one without a password"
        ) from error


def address_of(opened: socket.socket, scheme: str, host: str) -> str:
    """What a client on this machine would call a socket by, for people."""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{opened.getsockname()[1]}"


def _said(host: str, port: int, error: OSError) -> str:
    where = f"{f'[{host}]' if ':' in host else host}:{port}"
    text = _SAID.get(error.errno or 0, "{where} cannot be listened on ({error}); give another --host or --port")
    return text.format(where=where, error=error.strerror or error)
