"""What was pushed comes to the same lake as what lies in the landing folder, whoever takes it and whenever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from small_firm import COLUMNS, DAY, SYSTEM, SmallFirm, build_small_firm, csv_text, instance

from omgov_assets.admission.ledger import LEDGER
from omgov_assets.admission.reception import Reception
from omgov_assets.data_lake.locks import sole_holder
from omgov_assets.interface_service.ingest.receptions import Accepted, Receptions, Target
from omgov_assets.interface_service.ingest.worker import LOCK, Retries, Worker
from omgov_assets.model_management.business_systems import Limits
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST = [instance(ci="H1"), instance(ci=None), instance(ci="H3")]
SECOND = [instance(ci="H3", sample_max=91.0), instance(ci="H4")]
# Not when a file came: the same bytes that landed twice did not land at one time.
COMPARED = {
    TABLE: "*",
    f"{TABLE}_quarantine": "*",
    LEDGER: "* EXCLUDE (received_at, data_version, quarantine_version)",
    VIOLATIONS: "* EXCLUDE (data_version)",
}


class Desk:
    """A firm that is pushed to, and the time."""

    def __init__(self, firm: SmallFirm, receptions: Receptions) -> None:
        self.firm, self.receptions, self.now = firm, receptions, NOW

    def push(self, records: list[dict[str, object]], dataset: str = DATASET, day: date = DAY) -> Accepted:
        content = csv_text(COLUMNS[SYSTEM, dataset], records).encode()
        with Reception(self.firm.settings.landing, SYSTEM, dataset, day, "csv", Limits()) as reception:
            reception.write(content, len(content))
            received = reception.finish()
            reception.land(received)
        return self.receptions.accept("agent", Target(SYSTEM, dataset, day), received, self.now)

    def worker(self, governance: Governance | None = None, **retries: Any) -> Worker:
        found = governance or self.firm.governance
        return Worker(
            self.firm.settings, self.firm.lake, self.receptions, lambda: found, lambda: self.now, Retries(**retries)
        )

    def state(self, accepted: Accepted) -> str:
        found = self.receptions.find(accepted.id)
        assert found is not None
        return found.state

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        return {table: self.firm.rows(table, columns) for table, columns in COMPARED.items()}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SmallFirm:
    return build_small_firm(tmp_path_factory.mktemp("firm"))


@pytest.fixture
def desk(project: SmallFirm, tmp_path: Path) -> Iterator[Desk]:
    firm = project.at(tmp_path / "home")
    with Receptions(firm.settings.receptions) as receptions:
        yield Desk(firm, receptions)


def test_what_was_pushed_is_judged_as_what_has_landed(desk: Desk) -> None:
    accepted = [desk.push(FIRST), desk.push(SECOND)]
    worker = desk.worker()
    assert worker.judge_next()
    assert [desk.state(one) for one in accepted] == ["partial", "partial"]
    pushed = desk.content()
    # The same files in another firm's landing folder, taken by the night.
    other = desk.firm.at(desk.firm.settings.home.parent / "other")
    for one in accepted:
        path = other.settings.landing / one.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        (desk.firm.settings.landing / one.file_name).rename(path)
    other.collect(SYSTEM, DAY, DATASET)
    assert {table: other.rows(table, columns) for table, columns in COMPARED.items()} == pushed
    assert not worker.judge_next()


def test_after_the_night_nothing_changes_and_before_it_neither(desk: Desk) -> None:
    worker = desk.worker()
    first = desk.push(FIRST)
    desk.firm.collect(SYSTEM, DAY, DATASET)
    before = desk.content()
    assert worker.judge_next()
    assert (desk.content(), desk.state(first)) == (before, "partial")
    second = desk.push(SECOND)
    assert worker.judge_next()
    assert desk.state(second) == "partial"
    after = desk.content()
    desk.firm.collect(SYSTEM, DAY, DATASET)
    assert desk.content() == after


def test_pushes_and_nights_at_one_time_lead_to_one_lake(desk: Desk) -> None:
    """Files land by hand and by push, while the night and two workers take the same day, again and again."""
    desk.now = datetime.now(UTC)
    stop = threading.Event()
    faults: list[BaseException] = []
    nights = 0

    def night() -> None:
        nonlocal nights
        try:
            while not stop.is_set():
                desk.firm.collect(SYSTEM, DAY, DATASET)
                nights += 1
        except BaseException as fault:
            faults.append(fault)

    workers = [desk.worker(looks_every_s=0.01) for _ in range(2)]
    thread = threading.Thread(target=night)
    thread.start()
    for worker in workers:
        worker.start()
    accepted = []
    for number in range(6):
        # Each says something else of the one before's host.
        records = [instance(ci=f"H{number}"), instance(ci=f"H{number - 1}", sample_max=91.0 + number)]
        if number % 3 == 2:
            desk.firm.deliver(SYSTEM, DATASET, records, name=f"by-hand-{number}.csv")
        else:
            accepted.append(desk.push(records))
            workers[number % 2].wake()
    for _ in range(600):
        if all(desk.state(one) != "received" for one in accepted):
            break
        stop.wait(0.1)
    stop.set()
    thread.join()
    for worker in workers:
        worker.stop()
    assert faults == []
    assert nights > 0
    assert {desk.state(one) for one in accepted} <= {"admitted", "partial"}
    desk.firm.collect(SYSTEM, DAY, DATASET)
    found = desk.content()
    again = desk.firm.at(desk.firm.settings.home.parent / "again")
    desk.firm.settings.landing.rename(again.settings.home.parent / "landing")
    again.settings.home.mkdir()
    (again.settings.home.parent / "landing").rename(again.settings.landing)
    again.collect(SYSTEM, DAY, DATASET)
    assert {table: again.rows(table, columns) for table, columns in COMPARED.items()} == found
    assert len(found[LEDGER]) == 6


def test_a_refused_batch_says_why(desk: Desk) -> None:
    accepted = desk.push([instance(ci=None)])
    desk.worker().judge_next()
    found = desk.receptions.find(accepted.id)
    assert found is not None
    assert (found.state, found.entry["reason_code"]) == ("refused", "empty_column")


def test_only_one_worker_of_a_home_is_at_work(desk: Desk) -> None:
    desk.push(FIRST)
    with sole_holder(desk.firm.settings.home, LOCK):
        assert not desk.worker().judge_next()
    assert desk.worker().judge_next()


def test_a_batch_whose_file_is_gone_is_tried_so_often_and_then_failed(desk: Desk) -> None:
    accepted = desk.push(FIRST)
    (desk.firm.settings.landing / accepted.file_name).unlink()
    worker = desk.worker(attempts=3, first_wait_s=2.0)
    for wait_s in (2, 4, 8):
        assert worker.judge_next()
        assert not worker.judge_next()
        desk.now += timedelta(seconds=wait_s)
    assert not worker.judge_next()
    found = desk.receptions.find(accepted.id)
    assert found is not None
    assert (found.state, found.attempts, found.last_error) == ("failed", 3, "NotLandedError")


def test_what_cannot_be_judged_now_is_judged_later_and_its_values_are_not_told(desk: Desk, tmp_path: Path) -> None:
    broken = build_small_firm(tmp_path / "broken")
    suite = broken.settings.expectations / f"{DATASET}.json"
    suite.write_text('{"name": "metric_instances", "expectations": [{"type": "13800138000"}]}')
    accepted = desk.push(FIRST)
    desk.worker(broken.governance).judge_next()
    found = desk.receptions.find(accepted.id)
    assert found is not None
    assert (found.state, found.attempts) == ("received", 1)
    assert found.last_error is not None
    assert found.last_error.startswith("GovernanceError")
    assert "13800138000" not in found.last_error
    desk.now += timedelta(seconds=2)
    assert desk.worker().judge_next()
    assert desk.state(accepted) == "partial"


def test_while_the_rules_cannot_be_read_everything_waits(desk: Desk) -> None:
    accepted = desk.push(FIRST)
    worker = Worker(desk.firm.settings, desk.firm.lake, desk.receptions, lambda: None, lambda: NOW)
    assert not worker.judge_next()
    assert desk.state(accepted) == "received"
    found = desk.receptions.find(accepted.id)
    assert found is not None
    assert found.attempts == 0
