"""The job that takes refused records and batches through the gate again: launched with a form in the Launchpad."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
from pydantic import Field

from omgov_assets.admission.replay import ReplayedBatch, Selection, replay
from omgov_assets.components.business_system import dataset_key
from omgov_assets.components.firm import LAKE_POOL, governance_of
from omgov_assets.components.lake_resource import LakeResource

REPLAY = "replay_refused"


class ReplayForm(dg.Config):
    """What is replayed. Everything but system and dataset may be left out."""

    system: str = Field(description="Business system, as its folder in governance/systems/.")
    dataset: str = Field(description="Dataset, such as metric_instances.")
    reason: str | None = Field(default=None, description="Only what was refused for this reason code.")
    batch: str | None = Field(default=None, description="Only this batch (16 hex digits).")
    day: str | None = Field(default=None, description="Only this business day, YYYY-MM-DD.")


def build_replay_job() -> dg.JobDefinition:
    """A job of one step; the days it changed are marked, so that what hangs on them is shown as out of date."""

    @dg.op(
        name="replay",
        out=dg.Out(dg.Nothing),
        pool=LAKE_POOL,
        description="Judges what was refused by today's contract, model and policies; what passes is admitted.",
    )
    def replay_step(context: dg.OpExecutionContext, config: ReplayForm, lake: LakeResource) -> Iterator[object]:
        settings = lake.settings
        governance = governance_of(settings.project)
        system = governance.systems.get(config.system)
        if system is None:
            raise dg.Failure(f"{config.system}: no such business system; there are {', '.join(governance.systems)}")
        if config.dataset not in system.datasets:
            raise dg.Failure(
                f"{config.system}/{config.dataset}: not delivered by this system; it delivers "
                f"{', '.join(system.datasets)}"
            )
        selection = Selection(_day(config.day), config.batch, config.reason)
        dataset = system.datasets[config.dataset]
        batches = replay(lake.lake, governance, system, dataset, settings.landing, selection)
        for batch in batches:
            context.log.info(
                f"{batch.file_name}: {batch.admitted} of {batch.replayed} admitted"
                + (f"; {batch.remark}" if batch.remark else "")
            )
        for day in sorted({batch.day for batch in batches if batch.admitted}):
            yield _materialization(config, day, [batch for batch in batches if batch.day == day])
        yield dg.Output(None)

    @dg.job(
        name=REPLAY, description="Take what was refused through the gate again.", executor_def=dg.in_process_executor
    )
    def replay_job() -> None:
        replay_step()

    return replay_job


def _materialization(form: ReplayForm, day: date, batches: list[ReplayedBatch]) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        dataset_key(form.system, form.dataset),
        partition=day.isoformat(),
        description="Refused records that were admitted by a replay.",
        metadata={
            "replayed": sum(batch.replayed for batch in batches),
            "admitted": sum(batch.admitted for batch in batches),
            "still_refused": sum(batch.refused for batch in batches),
            "next": f"run {day} of inventory_governance, which checks and ranks what came in",
        },
    )


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise dg.Failure(f"{text!r} is not a day; write it as YYYY-MM-DD") from error
