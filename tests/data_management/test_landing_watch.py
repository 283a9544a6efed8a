"""Which days the landing folder asks for: files at rest that no run has taken, each day once."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from small_firm import COLUMNS, DAY, SYSTEM, SmallFirm, csv_text, instance

from omgov_assets.admission.reception import Reception
from omgov_assets.data_management.landing_watch import PATIENCE_S, STABLE_S, Look, look
from omgov_assets.model_management.business_systems import Limits
from omgov_assets.quality_policy.violations import CHECK_RESULTS

DATASET = "metric_instances"
NOW = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)


def deliver(firm: SmallFirm, name: str, hosts: tuple[str, ...], age_s: float = 3600, day: date = DAY) -> Path:
    path = firm.deliver(SYSTEM, DATASET, [instance(ci=host) for host in hosts], day, name)
    os.utime(path, (NOW.timestamp() - age_s,) * 2)
    return path


def looks(firm: SmallFirm, *seconds: float, cursor: str | None = None) -> list[Look]:
    """One look after the other, the given seconds after NOW."""
    found: list[Look] = []
    for second in seconds:
        found.append(look(firm.settings, firm.lake, firm.governance, NOW + timedelta(seconds=second), cursor))
        cursor = found[-1].cursor
    return found


def test_files_that_stand_still_are_asked_for_once(firm: SmallFirm) -> None:
    deliver(firm, "a.csv", ("H1",))
    deliver(firm, "b.csv", ("H2",))
    first, second, third = looks(firm, 0, 60, 120)
    assert first.due == {}, "whether they stand still is known at the second look"
    assert list(second.due) == [DAY], "one run for both"
    assert third.due == {}


def test_a_file_that_grows_is_left_alone_until_it_rests(firm: SmallFirm) -> None:
    path = deliver(firm, "a.csv", ("H1",), age_s=0)
    [first] = looks(firm, 0)
    text = path.read_text()
    path.write_text(text + text.splitlines()[-1].replace("H1", "H2") + "\n")
    os.utime(path, (NOW.timestamp() + 50,) * 2)
    [second] = looks(firm, 60, cursor=first.cursor)
    [third] = looks(firm, 70, cursor=second.cursor)
    [fourth] = looks(firm, 120, cursor=third.cursor)
    assert [bool(found.due) for found in (second, third, fourth)] == [False, False, True]


def test_a_writer_that_pauses_is_not_taken_for_one_that_has_ended(firm: SmallFirm) -> None:
    path = deliver(firm, "a.csv", ("H1",), age_s=3600)
    [first] = looks(firm, 0)
    # Written on, with a time of its own that says nothing: it is the size that has changed.
    path.write_text(path.read_text() + path.read_text().splitlines()[-1].replace("H1", "H2") + "\n")
    os.utime(path, (NOW.timestamp() - 3600,) * 2)
    [second] = looks(firm, 60, cursor=first.cursor)
    assert second.due == {}


def test_a_stream_of_files_is_not_put_off_for_ever(firm: SmallFirm) -> None:
    cursor, due = None, []
    for minute in range(0, PATIENCE_S // 60 + 1):
        deliver(firm, f"{minute}.csv", (f"H{minute}",), age_s=-60.0 * minute)
        [found] = looks(firm, 60.0 * minute, cursor=cursor)
        cursor, due = found.cursor, [*due, bool(found.due)]
    assert due == [False] * (PATIENCE_S // 60) + [True]


def test_what_the_ledger_knows_is_not_asked_for(firm: SmallFirm) -> None:
    deliver(firm, "a.csv", ("H1",))
    bad = firm.deliver(SYSTEM, DATASET, "metric,ci\ncpu,H1\n", name="bad.csv")
    os.utime(bad, (NOW.timestamp() - 3600,) * 2)
    firm.collect(SYSTEM, DAY, DATASET)
    assert [found.due for found in looks(firm, 0, 60)] == [{}, {}]
    deliver(firm, "a.csv", ("H1", "H2"))
    assert [list(found.due) for found in looks(firm, 0, 60)] == [[], [DAY]]


def test_yesterday_is_left_to_the_nightly_run_until_it_was_governed(firm: SmallFirm) -> None:
    yesterday = date(2026, 11, 24)
    deliver(firm, "a.csv", ("H1",), day=yesterday)
    deliver(firm, "today.csv", ("H1",), day=date(2026, 11, 25))
    assert [found.due for found in looks(firm, 0, 60)] == [{}, {}]
    firm.collect(SYSTEM, yesterday, DATASET)
    deliver(firm, "b.csv", ("H2",), day=yesterday)
    assert [list(found.due) for found in looks(firm, 0, 60)] == [[], [yesterday]]


def push(firm: SmallFirm, host: str, day: date) -> None:
    """Receive a delivery and have it judged, as the interface service does."""
    content = csv_text(COLUMNS[SYSTEM, DATASET], [instance(ci=host)]).encode()
    with Reception(firm.settings.landing, SYSTEM, DATASET, day, "csv", Limits()) as reception:
        reception.write(content, len(content))
        reception.land(reception.finish())
    firm.collect(SYSTEM, day, DATASET)


def check(firm: SmallFirm, day: date, data_version: int | None = None) -> None:
    """Write the checks of a day, as a run does."""
    version = firm.lake.version(f"{SYSTEM}/{DATASET}") if data_version is None else data_version
    schema = firm.lake.schema(CHECK_RESULTS).arrow
    values: dict[str, object] = {
        "day": day, "system": SYSTEM, "dataset": DATASET, "policy_id": "p", "verdict": "passed",
        "data_version": version, "policy_hash": "h", "quality_dimension": "accuracy", "severity": "warning",
    }  # fmt: skip
    row = {field.name: values.get(field.name, None if field.nullable else "x") for field in schema}
    firm.lake.replace(CHECK_RESULTS, day, pa.Table.from_pylist([row], schema=schema))


def looks_later(firm: SmallFirm) -> list[list[date]]:
    """Days that are due at two looks, after all that was written has come to rest."""
    later = datetime.now(UTC) + timedelta(seconds=STABLE_S)
    cursor, found = None, []
    for second in (0, 60):
        at = later + timedelta(seconds=second)
        one = look(firm.settings, firm.lake, firm.governance, at, cursor)
        cursor = one.cursor
        found.append(list(one.due))
    return found


def test_a_day_that_was_pushed_to_after_it_was_governed_is_governed_again(firm: SmallFirm) -> None:
    day = (datetime.now(UTC) - timedelta(days=5)).date()
    firm_yaml = firm.settings.governance / "firm.yaml"
    firm_yaml.write_text(firm_yaml.read_text().replace("2026-11-01", (day - timedelta(days=9)).isoformat()))
    push(firm, "H1", day)
    assert looks_later(firm) == [[], [day]], "no run has seen it"
    check(firm, day)
    assert looks_later(firm) == [[], []]
    push(firm, "H2", day)
    assert looks_later(firm) == [[], [day]]
    check(firm, day, data_version=1)
    assert looks_later(firm) == [[], [day]], "it came between what the checks read and their being written"
    check(firm, day)
    assert looks_later(firm) == [[], []]


def test_what_was_pushed_of_yesterday_is_left_to_the_nightly_run(firm: SmallFirm) -> None:
    # The time of the last look.
    now = datetime.now(UTC) + timedelta(seconds=STABLE_S + 60)
    today = now.astimezone(firm.governance.firm.zone).date()
    yesterday = today - timedelta(days=1)
    firm_yaml = firm.settings.governance / "firm.yaml"
    firm_yaml.write_text(firm_yaml.read_text().replace("2026-11-01", (today - timedelta(days=9)).isoformat()))
    push(firm, "H1", yesterday)
    push(firm, "H1", today)
    deliver(firm, "a.csv", ("H9",), day=yesterday)
    assert looks_later(firm) == [[], []]
    check(firm, yesterday)
    assert looks_later(firm) == [[], [yesterday]]


def test_several_days_are_asked_for_oldest_first(firm: SmallFirm) -> None:
    for days in (1, 0, 2):
        deliver(firm, "a.csv", (f"H{days}",), day=DAY + timedelta(days=days))
    assert list(looks(firm, 0, 60)[-1].due) == [DAY + timedelta(days=days) for days in range(3)]


@pytest.mark.parametrize("cursor", ["2026-11-20=3:17.0", "{", "[]", '{"2026-11-20": 3}', "null"])
def test_a_cursor_that_cannot_be_read_costs_one_look(firm: SmallFirm, cursor: str) -> None:
    deliver(firm, "a.csv", ("H1",))
    assert [list(found.due) for found in looks(firm, 0, 60, cursor=cursor)] == [[], [DAY]]


def test_days_before_the_first_and_folders_that_are_no_days_are_left_alone(firm: SmallFirm) -> None:
    deliver(firm, "a.csv", ("H1",), day=date(2026, 10, 1))
    folder = firm.folder(SYSTEM, DATASET).with_name("old")
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("x")
    assert [found.due for found in looks(firm, 0, 60)] == [{}, {}]
