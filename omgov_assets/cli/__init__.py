"""Floor 10: the ``omgov`` command. Reads arguments, calls one function of a room, prints what came back.

Heavy parts (Dagster, Great Expectations) are imported by the command that needs them, so that asking for a ranking is
quick. Exit codes: 0 clean, 1 platform failure, 2 something was refused or not delivered.
"""

from __future__ import annotations

import os
import sys

from omgov_assets.cli.commands import app
from omgov_assets.cli.output import PLATFORM_FAILURE
from omgov_assets.model_management.errors import GovernanceError

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the ``omgov`` script: a fault in the firm's files is a sentence, not a traceback."""
    code: object = 0
    try:
        app()
    except GovernanceError as error:
        sys.stderr.write(f"omgov: {error}\n")
        code = PLATFORM_FAILURE
    except SystemExit as ended:
        code = ended.code
    sys.stdout.flush()
    sys.stderr.flush()
    # All is written and closed by now. Taking Dagster and Great Expectations apart would cost another second, and make
    # nanobind report, on forty lines, what was still alive.
    os._exit(code if isinstance(code, int) else PLATFORM_FAILURE if code else 0)
