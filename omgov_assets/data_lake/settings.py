"""Where things are: the two settings of omgov, read from the environment in one place.

Does not belong here: anything the firm decides; that lies in ``governance/`` of the project.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The two folders that everything else is found under.

    Attributes:
        home: ``OMGOV_HOME``, default ``.omgov/`` of the working directory. Nothing is written elsewhere.
        project: ``OMGOV_PROJECT``, the folder with ``governance/`` and ``expectations/``; default the repository.
    """

    home: Path
    project: Path

    @classmethod
    def from_environment(cls, home: Path | None = None, project: Path | None = None) -> Settings:
        """Read ``OMGOV_HOME`` and ``OMGOV_PROJECT``; an argument wins over the environment."""
        return cls(
            home=(home or Path(os.environ.get("OMGOV_HOME") or ".omgov")).absolute(),
            project=(project or Path(os.environ.get("OMGOV_PROJECT") or _default_project())).absolute(),
        )

    @property
    def landing(self) -> Path:
        """What the business systems deliver: ``landing/<system>/<dataset>/<day>/<file>``."""
        return self.home / "landing"

    @property
    def lake(self) -> Path:
        """Root of the Delta tables."""
        return self.home / "lake"

    @property
    def truth(self) -> Path:
        """Ground truth of a simulated firm; read by ``omgov evaluate`` alone."""
        return self.home / "truth"

    @property
    def report(self) -> Path:
        """The morning reports, one folder a day."""
        return self.home / "report"

    @property
    def outbox(self) -> Path:
        """Alerts that are to be sent, and those that were: an SQLite file."""
        return self.home / "alerts" / "outbox.db"

    @property
    def governed(self) -> Path:
        """Governed snapshots: what principals may see of tables, made by access decisions."""
        return self.home / "governed"

    @property
    def audit(self) -> Path:
        """Access decisions that are not in the lake yet: a folder with an SQLite file."""
        return self.home / "audit"

    @property
    def tokens(self) -> Path:
        """Tokens of those who may ask for data, as hashes: an SQLite file."""
        return self.home / "access" / "tokens.db"

    @property
    def shares(self) -> Path:
        """Which datasets are offered to whom by Delta Sharing: an SQLite file."""
        return self.home / "access" / "shares.db"

    @property
    def link_keys(self) -> Path:
        """Keys that sign links to governed snapshots, where ``OMGOV_LINK_KEY`` does not hold one."""
        return self.home / "access" / "link_keys.json"

    @property
    def receptions(self) -> Path:
        """What was pushed and what became of it: an SQLite file."""
        return self.home / "ingest" / "receptions.db"

    @property
    def views(self) -> Path:
        """A DuckDB file of views on the lake, for BI tools."""
        return self.home / "omgov.duckdb"

    @property
    def dagster(self) -> Path:
        """``DAGSTER_HOME`` of the command line and of ``make ui``."""
        return self.home / "dagster"

    @property
    def governance(self) -> Path:
        """Control information of the firm."""
        return self.project / "governance"

    @property
    def dataset_contracts(self) -> Path:
        """Data contracts of the standard datasets."""
        return self.governance / "standard" / "data_contracts"

    @property
    def expectations(self) -> Path:
        """Quality policies: Great Expectations suites in JSON."""
        return self.project / "expectations"


def _default_project() -> Path:
    """The working directory where it holds a project, else the checkout that this package lies in."""
    here = Path.cwd()
    return here if (here / "governance").is_dir() else Path(__file__).resolve().parents[2]
