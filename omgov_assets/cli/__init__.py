"""Floor 10: the ``omgov`` command. Reads arguments, calls one function of a room, prints what came back.

Heavy parts (Dagster, Great Expectations) are imported by the command that needs them, so that asking for a ranking is
quick. Exit codes: 0 clean, 1 platform failure, 2 something was refused or not delivered.
"""

from __future__ import annotations

import sys

from omgov_assets.cli.commands import app
from omgov_assets.cli.output import PLATFORM_FAILURE
from omgov_assets.model_management.errors import GovernanceError

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the ``omgov`` script: a fault in the firm's files is a sentence, not a traceback."""
    try:
        app()
    except GovernanceError as error:
        sys.stderr.write(f"omgov: {error}\n")
        sys.exit(PLATFORM_FAILURE)
