"""Names of governed files by their content, which are all that readers get to know of them.

The name a snapshot is kept under says when its table was last changed, also where nobody who may read it sees a
difference (``access_control.snapshot``). By its content a file is called the same wherever its readers see the same.
Does not belong here: what is in the files.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_CHARACTERS = 32


@dataclass(frozen=True)
class Content:
    """A governed file under its content's name.

    Attributes:
        name: the first 32 hexadecimal digits of its SHA-256.
        snapshot_id: how a signed link names it: ``<dataset>/<folder>/<name>``.
        bytes: its size.
    """

    name: str
    snapshot_id: str
    bytes: int


def by_content(path: Path) -> Content:
    """A governed file under its content's name, which is made where it is not there yet: a further link to the file."""
    size = path.stat().st_size
    name = _content_name(path, size)
    named = path.with_name(f"{name}.parquet")
    try:
        # Says that it is in use: unused files are pruned by their time.
        os.utime(named)
    except FileNotFoundError:
        _link(path, named)
    return Content(name, "/".join((*path.parts[-4:-1], name)), size)


def _link(path: Path, named: Path) -> None:
    try:
        named.hardlink_to(path)
    except FileExistsError:
        # Another reader was quicker.
        return


@lru_cache(maxsize=65_536)
def _content_name(path: Path, _size: int) -> str:
    """By its path: a governed file is never changed, but for one of the same content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_CHARACTERS]
