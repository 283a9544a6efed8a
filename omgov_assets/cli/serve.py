"""``omgov serve``: the interface service."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

import typer

from omgov_assets.cli.options import Home, Project
from omgov_assets.cli.output import fail, notice
from omgov_assets.cli.public_urls import checked_url
from omgov_assets.data_lake.settings import Settings


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8080,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    tls_certificate: Annotated[Path | None, typer.Option(help="Certificate chain (PEM); HTTPS then.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM), without a password.")] = None,
    root_path: Annotated[str, typer.Option(help="What a proxy puts before every path, such as /omgov.")] = "",
    public_url: Annotated[
        str, typer.Option(help="What clients call the service by, such as https://omgov.example.com.")
    ] = "",
    plain_http: Annotated[
        bool,
        typer.Option("--plain-http", help="Listen without TLS on more than loopback: something before it has TLS."),
    ] = False,
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = "INFO",
    home: Home = None,
    project: Project = None,
) -> None:
    """Serve governed data (REST, Delta Sharing), take data in, and show stewards their pages, until it is stopped.

    Listens on loopback over plain HTTP by default; deploy/ holds a proxy with TLS before it. Log lines are JSON on
    standard error. /healthz and /readyz are for supervisors, /metrics is for Prometheus, /v1/openapi.json says what
    there is. Exit code 0 where it was told to stop, 1 where it cannot start: an address in use, a key that does not
    fit, a home that cannot be used.
    """
    from omgov_assets.access_control.audit_lake import open_log
    from omgov_assets.access_control.audit_log import AuditUnavailableError
    from omgov_assets.access_control.tokens import TokenError, TokenStore
    from omgov_assets.data_lake.lake import Lake
    from omgov_assets.interface_service.listening import CannotListenError
    from omgov_assets.interface_service.processes import Options
    from omgov_assets.interface_service.processes import serve as run

    if (tls_certificate is None) != (tls_key is None):
        fail("give --tls-certificate and --tls-key together")
    if tls_certificate is None and not plain_http and not _is_loopback(host):
        fail(
            f"{host} without TLS would send tokens in the clear; give --tls-certificate and --tls-key, or --plain-http"
        )
    if root_path and (not root_path.startswith("/") or root_path.endswith("/")):
        fail(f"--root-path {root_path!r}: write it as /omgov")
    if log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        fail(f"--log-level {log_level!r}: write DEBUG, INFO, WARNING or ERROR")
    if public_url:
        public_url = checked_url("--public-url", public_url)
    elif not _is_loopback(host):
        notice("without --public-url, links in answers go to whatever host a request names")
    settings = Settings.from_environment(home, project)
    options = Options(host, port, workers, tls_certificate, tls_key, root_path, public_url, log_level.upper())
    try:
        # Found out here, where it can be told in a sentence.
        with open_log(Lake(settings.lake, settings.dataset_contracts), settings.audit), TokenStore(settings.tokens):
            pass
    except (AuditUnavailableError, TokenError) as error:
        fail(str(error))
    try:
        run(settings, options)
    except CannotListenError as error:
        fail(str(error))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
