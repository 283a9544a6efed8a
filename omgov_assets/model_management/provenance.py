"""Who last changed a file of control information, and in which commit: what git knows of it.

Belongs here: asking git, in two calls and with a time limit. Does not belong here: what the files say. Where there is
no git, or it does not answer, nothing is known and nothing fails: a night needs no history.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

CONTROL_FOLDERS = ("governance", "expectations")
UNCOMMITTED = "uncommitted"
TIME_LIMIT_S = 5.0

_IGNORED = "!!"
_COMMIT = "\x01"
_FORMAT = f"--format={_COMMIT}%h%x00%aN <%aE>%x00%cI"
# Git runs a program that a repository names here, and takes a lock where it refreshes its index.
_READ_ONLY = ("-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "--no-optional-locks")


@dataclass(frozen=True)
class Provenance:
    """Where the text of a file comes from.

    Attributes:
        author: name and mail of who last changed it; ``uncommitted`` where no commit holds it as it is.
        commit: short id of the commit that last changed it.
        committed_at: time of that commit.
    """

    author: str | None
    commit: str | None
    committed_at: datetime | None


def control_files(project: Path) -> list[str]:
    """All files of ``governance/`` and ``expectations/`` relative to the project, sorted; hidden ones are left out."""
    found = []
    for folder in CONTROL_FOLDERS:
        for parent, folders, names in os.walk(project / folder):
            folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
            above = Path(parent).relative_to(project)
            found += [(above / name).as_posix() for name in names if not name.startswith(".")]
    return sorted(found)


def provenance_of(project: Path) -> dict[str, Provenance]:
    """Provenance of the control information of a project by path relative to it.

    Files that git does not know of are left out, as are those whose history it could not tell within the time limit.
    """
    project = project.resolve()
    top = next((folder for folder in (project, *project.parents) if (folder / ".git").exists()), None)
    if top is None:
        return {}
    prefix = "" if top == project else project.relative_to(top).as_posix() + "/"
    wanted = {prefix + path for path in control_files(project)}
    states = _states(project)
    if states is None:
        return {}
    changed = {path for path, state in states.items() if state != _IGNORED and path in wanted}
    known = dict.fromkeys(changed, Provenance(UNCOMMITTED, None, None))
    known |= _last_commits(project, wanted - states.keys())
    return {path.removeprefix(prefix): known[path] for path in sorted(known)}


def author_of(provenance: Mapping[str, Provenance], path: str) -> str | None:
    """Author of a file, where one is known."""
    known = provenance.get(path)
    return known.author if known else None


def _states(project: Path) -> dict[str, str] | None:
    """Files that are not as the last commit has them, with git's two letters for it; None where git does not answer."""
    command = _command(project, "status", "--porcelain", "-z", "--untracked-files=all", "--ignored=traditional")
    try:
        done = subprocess.run(command, env=_environment(), capture_output=True, timeout=TIME_LIMIT_S / 2, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    entries = iter(done.stdout.decode(errors="replace").split("\0"))
    states = {}
    for entry in entries:
        if entry:
            states[entry[3:]] = entry[:2]
            if entry[0] in "RC":
                next(entries, None)  # the name it had before
    return states


def _last_commits(project: Path, wanted: Collection[str]) -> dict[str, Provenance]:
    """The newest commit of each file, read no further back than needed; a merge counts for what it changed itself."""
    missing = set(wanted)
    found: dict[str, Provenance] = {}
    commit = Provenance(None, None, None)
    for line in _log(project) if missing else ():
        if line.startswith(_COMMIT):
            commit = _commit(line.removeprefix(_COMMIT))
        elif line in missing:
            found[line] = commit
            missing.discard(line)
            if not missing:
                break
    return found


def _log(project: Path) -> Iterator[str]:
    """Whole lines of ``git log`` as far as it comes within the time limit; it is ended where nobody reads on."""
    command = _command(project, "log", "--name-only", "-c", "--no-renames", "--no-show-signature", _FORMAT)
    try:
        process = subprocess.Popen(command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603
    except OSError:
        return
    limit = threading.Timer(TIME_LIMIT_S / 2, process.kill)
    limit.start()
    with process:
        try:
            for line in process.stdout or ():
                if line.endswith(b"\n"):
                    yield line[:-1].decode(errors="replace")
        finally:
            limit.cancel()
            process.kill()


def _commit(line: str) -> Provenance:
    commit, author, committed_at = line.split("\0")
    try:
        return Provenance(author, commit, datetime.fromisoformat(committed_at))
    except ValueError:  # a date that no calendar has
        return Provenance(author, commit, None)


def _command(project: Path, name: str, *options: str) -> list[str]:
    return ["git", "-C", str(project), *_READ_ONLY, name, *options, "--", *CONTROL_FOLDERS]


def _environment() -> dict[str, str]:
    """The environment without what would point git to another repository than the project's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {"LC_ALL": "C"}
