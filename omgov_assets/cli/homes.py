"""Who may change a home by the command line: the user that its files belong to.

Owns one rule: no command leaves a file in a home that the user of the service cannot use; keys, tokens, shares and the
audit are their owner's alone (0600). Does not belong here: who may see what of the data (``access_control``).
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from omgov_assets.cli.output import fail
from omgov_assets.data_lake.settings import Settings

_ROOT = 0


def require_own_home(home: Path | None) -> Path | None:
    """The home as it was given; ends the command where another user than its owner would write to it.

    One that is not there yet belongs to whoever makes it. One of root's is taken from everybody who can write to it: a
    volume that a container got is like that, and all that is in it is made by the one user of the container.
    """
    folder = Settings.from_environment(home).home
    try:
        owner = folder.stat().st_uid
    except OSError:
        # Not there, or not to be seen: whoever writes to it finds out.
        return home
    asking = os.geteuid()
    if owner not in (asking, _ROOT):
        user = _name(owner)
        fail(
            f"{folder} belongs to {user}, who could not use what {_name(asking)} makes there; run the command as "
            f"{user}: `{'runuser' if asking == _ROOT else 'sudo'} -u {user} -- omgov ...`, with OMGOV_HOME and "
            "OMGOV_PROJECT as the service has them; deploy/omgov is a program that does it"
        )
    return home


def _name(user: int) -> str:
    """The name of a user, its number where it has none, as in containers."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"#{user}"
