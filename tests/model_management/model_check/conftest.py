"""A project with one model at a time, and SQL that is sound but for what a test exchanges."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from model_desk import Desk


@pytest.fixture(scope="session")
def _project(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Path:
    project = tmp_path_factory.mktemp("firm") / "project"
    shutil.copytree(project_root / "governance", project / "governance")
    return project


@pytest.fixture
def desk(_project: Path) -> Iterator[Desk]:
    made = Desk(_project)
    made.standard_metric()
    yield made
    made.restore()
    (_project / "governance/standard/metric_definitions/made.yaml").unlink()


Samples = Callable[..., str]


@pytest.fixture
def samples() -> Samples:
    """SQL of the conform model, with columns exchanged by name and with what follows ``FROM source``."""

    def made(rest: str = "", source: str = "source", **columns: str) -> str:
        given = {
            "source_metric": "metric_code",
            "ci_id": "object_no",
            "attributes": "MAP {}::MAP(VARCHAR, VARCHAR)",
            "observed_at": "collected_at AT TIME ZONE 'Asia/Shanghai'",
            "value": "reading",
            "_batch_id": "_batch_id",
            "_record_no": "_record_no",
            **columns,
        }
        listed = ",\n    ".join(f"{expression} AS {name}" for name, expression in given.items() if expression)
        return f"SELECT\n    {listed}\nFROM {source}\n{rest}"

    return made


@pytest.fixture
def points() -> Samples:
    """SQL of a derive model over ``metric_samples AS s``, with columns exchanged by name."""

    def made(
        rest: str = "WHERE metric = 'http.server.error.utilization'",
        source: str = "metric_samples AS s",
        **columns: str,
    ) -> str:
        given = {"ci_id": "s.ci_id", "attributes": "s.attributes", "observed_at": "s.observed_at", "value": "s.value"}
        listed = ",\n    ".join(
            f"{expression} AS {name}" for name, expression in (given | columns).items() if expression
        )
        return f"SELECT\n    {listed}\nFROM {source}\n{rest}"

    return made
