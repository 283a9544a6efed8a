"""Running a job for one day in this process, with a word at every step: what ``omgov run`` does."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import sqlalchemy

from omgov_assets.data_lake.locks import sole_holder
from omgov_assets.data_lake.settings import Settings
from omgov_assets.definitions import build_defs
from omgov_assets.defs.jobs import NIGHTLY
from omgov_assets.quality_policy.great_expectations_run import preload

COMMAND_LINE_TAG = "omgov/command_line"


@dataclass(frozen=True)
class StepProgress:
    """A step that began, ended or failed; ``seconds`` is None at its beginning."""

    step: str
    done: int
    total: int
    seconds: float | None = None


@dataclass(frozen=True)
class NightResult:
    """How a run went: time per step in seconds, in order, and what failed with its reason.

    ``broken_checks`` are those that say that the platform itself is at fault, with what they say.
    """

    run_id: str
    success: bool
    step_seconds: dict[str, float]
    failures: dict[str, str]
    broken_checks: dict[str, str]


def run_night(
    settings: Settings, day: date, job_name: str = NIGHTLY, on_step: Callable[[StepProgress], None] | None = None
) -> NightResult:
    """Run a job for a day in this process.

    Args:
        settings: folders; ``DAGSTER_HOME`` is set to the one of the home.
        day: partition to run.
        job_name: ``nightly_governance`` or ``inventory_governance``.
        on_step: called when a step begins and ends.

    Raises:
        GovernanceError: control information is at fault.
    """
    prepare_dagster_home(settings)
    os.environ["DAGSTER_HOME"] = str(settings.dagster)
    os.environ["OMGOV_HOME"] = str(settings.home)
    os.environ["OMGOV_PROJECT"] = str(settings.project)
    job = build_defs().resolve_job_def(job_name)
    # One command-line run per home at a time; a second one waits.
    with sole_holder(settings.home, "run"), _bookkeeping_kept_open(settings):
        return _run(job, day, on_step)


def _run(job: dg.JobDefinition, day: date, on_step: Callable[[StepProgress], None] | None) -> NightResult:
    steps = [node.name for node in job.nodes]
    seconds: dict[str, float] = {}
    failures: dict[str, str] = {}
    broken: dict[str, str] = {}

    def listen(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None or event.step_key is None:
            return
        if event.event_type == dg.DagsterEventType.STEP_FAILURE:
            error = event.step_failure_data.error
            cause = error.cause if error and error.cause else error
            failures[event.step_key] = cause.message.strip() if cause else "failed"
        elif event.event_type == dg.DagsterEventType.STEP_SUCCESS:
            seconds[event.step_key] = (event.step_success_data.duration_ms or 0) / 1000
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR:
                broken[f"{check.asset_key.to_user_string()}: {check.check_name}"] = check.description or "failed"
            return
        elif event.event_type != dg.DagsterEventType.STEP_START:
            return
        if on_step:
            on_step(StepProgress(event.step_key, len(seconds), len(steps), seconds.get(event.step_key)))

    with dg.DagsterInstance.get() as instance:
        _end_leftover_runs(instance)
        run_id = str(uuid4())
        instance.add_event_listener(run_id, listen)
        # Great Expectations takes seconds to import: it does so beside the first steps, in which DuckDB and Arrow do
        # the work. Any earlier, it would only contend with the imports and the bookkeeping of this thread.
        threading.Thread(target=preload, daemon=True).start()
        result = job.execute_in_process(
            instance=instance,
            partition_key=day.isoformat(),
            raise_on_error=False,
            run_id=run_id,
            tags={COMMAND_LINE_TAG: "true"},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    return NightResult(run_id, result.success, seconds, failures, broken)


@contextmanager
def _bookkeeping_kept_open(settings: Settings) -> Iterator[None]:
    """Keep a connection to each of Dagster's SQLite files while a run lasts.

    Dagster opens and closes its database for every event, and the last connection to close folds the write-ahead log
    back into the file: half of the wall time of a night's bookkeeping. In WAL mode ``synchronous=NORMAL`` cannot
    corrupt the file; a power cut may lose the last events of a run, which says nothing about the lake.
    """
    kept: dict[str, sqlite3.Connection] = {}

    def keep(connection: Any, _record: object) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        connection.execute("PRAGMA synchronous = NORMAL")
        path = connection.execute("PRAGMA database_list").fetchall()[0][2]
        if path.startswith(str(settings.dagster)) and path not in kept:
            kept[path] = sqlite3.connect(path, check_same_thread=False)
            kept[path].execute("SELECT count(*) FROM sqlite_master").fetchall()

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", keep)
    try:
        yield
    finally:
        sqlalchemy.event.remove(sqlalchemy.engine.Engine, "connect", keep)
        for connection in kept.values():
            connection.close()


def _end_leftover_runs(instance: dg.DagsterInstance) -> None:
    """Report runs that a killed command line left behind: nothing else would, and they hold the lake's pool."""
    unfinished = dg.RunsFilter(
        tags={COMMAND_LINE_TAG: "true"}, statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    )
    for run in instance.get_runs(unfinished):
        instance.report_run_failed(run, "the process that ran it ended without a word")


def prepare_dagster_home(settings: Settings) -> None:
    """Make ``DAGSTER_HOME`` below the home, with the project's ``dagster.yaml`` linked into it."""
    settings.dagster.mkdir(parents=True, exist_ok=True)
    link = settings.dagster / "dagster.yaml"
    if link.exists():
        return
    repository = Path(__file__).resolve().parents[2]
    for folder in (settings.project, repository):
        if (folder / "dagster.yaml").is_file():
            link.unlink(missing_ok=True)
            link.symlink_to(folder / "dagster.yaml")
            return
    # An installed wheel has no dagster.yaml beside it; telemetry stays off all the same.
    link.write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
