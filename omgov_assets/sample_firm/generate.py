"""Generating the sample firm: its deliveries of consecutive days and the truth about them.

Belongs here: the order of the work and where randomness comes from. Every array is drawn from a generator of
its own (seed, purpose), so that the same seed gives the same bytes, and a day looks the same whichever
day comes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from omgov_assets.sample_firm.baseline import BaselineDay
from omgov_assets.sample_firm.business_day import EARLIEST_DAY, BusinessDay
from omgov_assets.sample_firm.causes import CausesOfDay
from omgov_assets.sample_firm.cells import Cells
from omgov_assets.sample_firm.cmdb import CmdbDay, export_cmdb
from omgov_assets.sample_firm.definitions import (
    Definitions,
    define_metrics,
    definition_faults,
    definition_look_alikes,
    definition_rows,
)
from omgov_assets.sample_firm.dialects import DIALECTS
from omgov_assets.sample_firm.estate import OWNERS, Estate, build_estate
from omgov_assets.sample_firm.incidents import NO_INCIDENTS, Incidents, plan_incidents
from omgov_assets.sample_firm.inventory import Inventory, build_inventories
from omgov_assets.sample_firm.judgeable import Deliveries
from omgov_assets.sample_firm.landing import connect, deliver
from omgov_assets.sample_firm.members import Members
from omgov_assets.sample_firm.people import Person, invent_people
from omgov_assets.sample_firm.planted_causes import PlantedCause, plant_causes
from omgov_assets.sample_firm.profiles import profile_day
from omgov_assets.sample_firm.records import ci_ids, identify, instance_records
from omgov_assets.sample_firm.samples import sample_day
from omgov_assets.sample_firm.truth import Truth

FEWEST_INSTANCES = 10_000
_ESTATE, _PEOPLE, _DEFINITIONS, _INVENTORIES, _PROFILES, _SAMPLES, _CAUSES, _INCIDENTS = range(8)


@dataclass(frozen=True)
class FirmSummary:
    """What was generated.

    Attributes:
        days: the days, ascending. definitions: metric definitions of all systems (at least one per metric and
            system, so possibly more than asked for). instances: metric instances per day.
        records: records of all deliveries. anomalous_instances: instances with at least one anomaly, summed
            over days.
        anomalies: anomalies of all days by type.
    """

    days: tuple[date, ...]
    definitions: int
    instances: int
    records: int
    anomalous_instances: int
    anomalies: dict[str, int]


@dataclass(frozen=True)
class _Firm:
    seed: int
    estate: Estate
    ids: list[str]
    people: list[Person]
    definitions: list[Definitions]
    inventories: list[Inventory]
    causes: list[PlantedCause]
    incidents: Incidents = NO_INCIDENTS


def generate_firm(
    out: Path,
    *,
    definitions: int,
    instances: int,
    days: int,
    first_day: date,
    seed: int,
    incidents: bool = False,
    progress: Callable[[str], None] | None = None,
) -> FirmSummary:
    """Write ``out/landing/<system>/<dataset>/<day>/`` and ``out/truth/`` for consecutive days.

    With incidents, deliveries are missing on some days (an inventory, samples, definitions, two datasets of the CMDB),
    owners leave, series leave the inventory and mostly come back, and defects are fixed and recur; what became of each
    subject that ever had an anomaly is then in ``out/truth/members/``. Such days depend on the first one and on their
    number.

    Args:
        out: folder of landing and truth; files of the same day are replaced.
        definitions: metric definitions of all systems together, about.
        instances: metric instances of all systems together, exactly; at least ``FEWEST_INSTANCES``.
        days: number of days.
        first_day: business day to begin with, not before ``EARLIEST_DAY``.
        seed: same seed, same bytes.
        incidents: whether there are incidents; they take ``incidents.FEWEST_DAYS`` days at least.
        progress: told what is being done, one line per dataset.

    Raises:
        ValueError: a number that no firm can be made of.
    """
    if instances < FEWEST_INSTANCES:
        raise ValueError(f"instances is {instances}: a firm with every defect has at least {FEWEST_INSTANCES}")
    if days < 1:
        raise ValueError(f"days is {days}: generate at least one day")
    if first_day < EARLIEST_DAY:
        raise ValueError(f"first_day is {first_day}: the firm's history reaches back to {EARLIEST_DAY}")
    tell = progress or (lambda _: None)
    tell("building the estate")
    firm = _build(definitions, instances, seed)
    members: Members | None = None
    if incidents:
        planned = plan_incidents(_rng(seed, _INCIDENTS), firm.estate, firm.inventories, first_day, days)
        firm, members = replace(firm, incidents=planned), Members()
    dates = tuple(first_day + timedelta(days=number) for number in range(days))
    records, anomalous, anomalies = 0, 0, Counter[str]()
    with connect() as con:
        for before, number in enumerate(dates):
            day_records, day_anomalous, day_anomalies = _deliver_day(
                con, out, firm, BusinessDay(number), dates[:before], members, tell
            )
            records, anomalous = records + day_records, anomalous + day_anomalous
            anomalies.update(day_anomalies)
    return FirmSummary(
        days=dates,
        definitions=sum(len(defined.names) for defined in firm.definitions),
        instances=sum(len(inventory) for inventory in firm.inventories),
        records=records,
        anomalous_instances=anomalous,
        anomalies=dict(sorted(anomalies.items())),
    )


def _build(definitions: int, instances: int, seed: int) -> _Firm:
    estate = build_estate(_rng(seed, _ESTATE), instances)
    defined = [
        define_metrics(_rng(seed, _DEFINITIONS, number), dialect, definitions)
        for number, dialect in enumerate(DIALECTS)
    ]
    ids = ci_ids(estate)
    people = invent_people(_rng(seed, _PEOPLE), OWNERS)
    inventories = build_inventories(_rng(seed, _INVENTORIES), estate, defined, instances)
    # The cells of planted causes are those of one and the same day, whichever days are generated.
    attributes = export_cmdb(estate, ids, people, BusinessDay(EARLIEST_DAY)).attributes
    cells = [Cells(inventory, attributes) for inventory in inventories]
    inventories, causes = plant_causes(_rng(seed, _CAUSES), estate, inventories, cells)
    return _Firm(seed, estate, ids, people, defined, inventories, causes)


def _deliver_day(
    con: duckdb.DuckDBPyConnection,
    out: Path,
    firm: _Firm,
    day: BusinessDay,
    earlier: Sequence[date],
    members: Members | None,
    tell: Callable[[str], None],
) -> tuple[int, int, dict[str, int]]:
    deliveries = Deliveries(firm.incidents.missing_on(day.day))
    firm = replace(
        firm,
        estate=firm.incidents.estate_on(firm.estate, day.day),
        inventories=[
            firm.incidents.inventory_on(number, inventory, day.day) for number, inventory in enumerate(firm.inventories)
        ],
    )
    cmdb = export_cmdb(firm.estate, firm.ids, firm.people, day)
    causes = CausesOfDay(firm.estate, firm.ids, firm.inventories, cmdb.attributes, firm.causes)
    truth = Truth(day, causes, deliveries)
    baseline = BaselineDay(firm.estate, firm.ids, day)
    tell(f"{day.day} cmdb")
    records = _deliver_cmdb(con, out, day, cmdb, truth)
    anomalous = 0
    for number in range(len(firm.inventories)):
        delivered, wrong = _deliver_system(con, out, firm, number, day, earlier, truth, baseline, members, tell)
        records, anomalous = records + delivered, anomalous + wrong
    baseline.tell(truth, cmdb.not_in_use)
    truth.add_missing()
    if members:
        members.live(con, day, truth, deliveries, out)
    return records, anomalous, truth.write(out)


def _deliver_cmdb(con: duckdb.DuckDBPyConnection, out: Path, day: BusinessDay, cmdb: CmdbDay, truth: Truth) -> int:
    """Write the tables of the CMDB; returns the records."""
    truth.add("cmdb", "configuration_items", cmdb.anomalies)
    truth.add_look_alikes("cmdb", "configuration_items", cmdb.look_alikes)
    truth.add("cmdb", "ci_relations", cmdb.relation_anomalies)
    truth.add_look_alikes("cmdb", "ci_relations", cmdb.relation_look_alikes)
    return sum(
        deliver(con, out, "cmdb", dataset, day, table).records
        for dataset, table in cmdb.tables.items()
        if truth.deliveries.has("cmdb", dataset)
    )


def _deliver_system(
    con: duckdb.DuckDBPyConnection,
    out: Path,
    firm: _Firm,
    number: int,
    day: BusinessDay,
    earlier: Sequence[date],
    truth: Truth,
    baseline: BaselineDay,
    members: Members | None,
    tell: Callable[[str], None],
) -> tuple[int, int]:
    """Write the three datasets of a system; returns records and anomalous instances."""
    inventory = firm.inventories[number]
    defined = inventory.definitions
    system = defined.dialect.system
    records, anomalous = 0, 0
    if truth.deliveries.has(system, "metric_definitions"):
        tell(f"{day.day} {system} metric_definitions")
        records += deliver(con, out, system, "metric_definitions", day, definition_rows(defined)).records
        truth.add(system, "metric_definitions", definition_faults(defined))
        truth.add_look_alikes(system, "metric_definitions", definition_look_alikes(defined))

    profiles = profile_day(_rng(firm.seed, _PROFILES, number, day.ordinal), firm.estate, inventory, day)
    identities = identify(firm.estate, pa.array(firm.ids), inventory, profiles, day)
    if truth.deliveries.has(system, "metric_instances"):
        tell(f"{day.day} {system} metric_instances")
        delivery = deliver(con, out, system, "metric_instances", day, instance_records(inventory, profiles, identities))
        records += delivery.records
        baseline.add(number, inventory, profiles)
        anomalous = truth.add_instances(con, firm.estate, inventory, profiles, identities, delivery)
        if members:
            truth.add_inventory(con, system, identities, profiles)

    if truth.deliveries.has(system, "metric_samples"):
        tell(f"{day.day} {system} metric_samples")
        rng = _rng(firm.seed, _SAMPLES, number, day.ordinal)
        before = sum((system, "metric_samples") not in firm.incidents.missing_on(other) for other in earlier)
        samples = sample_day(rng, inventory, profiles, identities, day, before)
        deliver(con, out, system, "metric_samples", day, samples.records)
        records += samples.records.num_rows
        truth.add_samples(con, system, identities, samples)
    return records, anomalous


def _rng(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
