"""The service as processes: one or several on one socket, told apart from whoever starts them by the environment alone.

Does not belong here: what they answer (``app``).
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.listening import address_of, opened_sockets, require_certificate

if TYPE_CHECKING:
    from fastapi import FastAPI

_OPTIONS = "OMGOV_SERVE"
# Not that of ``observing``: the client library looks at it when it is imported, so that it must be set before.
_METRICS = "PROMETHEUS_MULTIPROC_DIR"

_logger = logging.getLogger("omgov.service")


@dataclass(frozen=True)
class Options:
    """How the service is to run.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0 for any.
        workers: processes.
        tls_certificate: PEM file with the certificate chain; None for plain HTTP.
        tls_key: PEM file with its key.
        root_path: what a proxy puts before every path.
        public_url: what clients call the service by; empty where requests say.
        log_level: level of its log.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    root_path: str = ""
    public_url: str = ""
    log_level: str = "INFO"


def serve(settings: Settings, options: Options) -> None:
    """Run the service until it is told to stop (SIGTERM, SIGINT); requests that run then are answered first.

    Raises:
        CannotListenError: it cannot listen as it is told to; nothing was started.
        SystemExit: it is told to stop, or cannot start.
    """
    if options.tls_certificate is not None and options.tls_key is not None:
        require_certificate(options.tls_certificate, options.tls_key)
    sockets = opened_sockets(options.host, options.port)
    # Each process of several finds out by itself what is to be done.
    os.environ |= {
        "OMGOV_HOME": str(settings.home),
        "OMGOV_PROJECT": str(settings.project),
        _OPTIONS: json.dumps(asdict(options), default=str),
    }
    if options.workers > 1:
        # By port: another service on the same home has its own.
        figures = settings.home / "serve" / f"figures-{options.port}"
        shutil.rmtree(figures, ignore_errors=True)
        figures.mkdir(parents=True)
        os.environ[_METRICS] = str(figures)

    import uvicorn
    from uvicorn.config import STARTUP_FAILURE
    from uvicorn.supervisors import Multiprocess

    from omgov_assets.interface_service.observing import log_as_json
    from omgov_assets.interface_service.patience import PatientProtocol

    log_as_json(options.log_level)
    limits = PatientProtocol.limits
    config = uvicorn.Config(
        "omgov_assets.interface_service.processes:app_of_environment",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        http=PatientProtocol,
        ws="none",
        root_path=options.root_path,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=limits.idle_s,
        timeout_graceful_shutdown=limits.shutdown_s,
    )
    # uvicorn raises the signal again when all is answered: that is no failure.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    scheme = "https" if options.tls_certificate is not None else "http"
    _logger.info("running on %s", address_of(sockets[0], scheme, options.host))
    if options.workers > 1:
        supervisor = Multiprocess(config, sockets)
        supervisor.run()
        if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
            raise SystemExit(1)
        return
    server = uvicorn.Server(config)
    try:
        server.run(sockets)
    except SystemExit as ended:
        # Its own code for a start that failed is none of ours.
        raise SystemExit(1 if ended.code == STARTUP_FAILURE else ended.code) from ended
    if not server.started:
        raise SystemExit(1)


def app_of_environment() -> FastAPI:
    """The app of a process that ``serve`` started."""
    from omgov_assets.interface_service.app import create_app
    from omgov_assets.interface_service.observing import log_as_json
    from omgov_assets.interface_service.service import Service

    options = json.loads(os.environ[_OPTIONS])
    log_as_json(options["log_level"])
    settings = Settings.from_environment()
    return create_app(
        lambda: Service.of_home(settings, public_url=options["public_url"].rstrip("/")),
    )


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
