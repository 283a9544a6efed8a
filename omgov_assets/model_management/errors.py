"""The one error of this room: a file under `governance/` that cannot be used, and what to do about it.

Belongs here: `GovernanceError`. Does not belong here: bad *data* (admission quarantines it, nothing raises).
"""

from __future__ import annotations

from pathlib import Path


class GovernanceError(Exception):
    """A governance file cannot be used.

    Attributes:
        path: the file.
        key: where in the file, such as `metrics[3].unit` or `line 4, column 7`; empty for the whole file.
        problem: what is wrong, with the value.
        remedy: what to do, as an imperative.
    """

    def __init__(self, path: Path, key: str, problem: str, remedy: str) -> None:
        self.path = path
        self.key = key
        self.problem = problem
        self.remedy = remedy
        super().__init__(path, key, problem, remedy)

    def __str__(self) -> str:
        where = f"{self.path}: {self.key}" if self.key else str(self.path)
        return " ".join(f"{where}: {self.problem}; {self.remedy}".split())
