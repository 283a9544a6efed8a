"""Incidents of a firm over several days: deliveries that do not come, owners who leave, series that leave the inventory
and come back, and defects that are fixed and recur.

Belongs here: what happens when, and what the firm is on a day of it. Does not belong here: what can be judged without a
delivery (``judgeable``), what follows for each subject (``members``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta

import numpy as np

from omgov_assets.sample_firm.business_day import DAYS_OF_ROTA, Bools, Ints, Schedule
from omgov_assets.sample_firm.cmdb import named_for_others
from omgov_assets.sample_firm.dialects import DIALECTS
from omgov_assets.sample_firm.estate import GROUP_WITHOUT_OWNERS, OWNERS, Estate
from omgov_assets.sample_firm.inventory import ALONE, NO_CAUSE, SERIES_DEFECTS, TRAIT, Inventory

# Each missing delivery and each of the other incidents has a day of its own between the first and the last one.
FEWEST_DAYS = 7

_LEAVERS = 3
_FEWEST_CIS_OF_A_LEAVER = 3
# Of the series with a defect of their own, which have nothing to do with other series.
_SHARE_AWAY, _SHARE_RECURRING = 0.12, 0.12
# Of the series that leave the inventory one in so many stays away.
_ONE_STAYS_AWAY_IN = 4


@dataclass(frozen=True)
class Incidents:
    """What happens on the days of a firm; nothing by default.

    Attributes:
        missing: system and dataset that are not delivered, by day.
        left: owner (position in the firm's people) to the day from which on he or she is inactive.
        away: by system, in the order of ``DIALECTS``: for each instance the first day (ordinal) on which it is not in
            the inventory and the first one on which it is again.
        recurring: by system: the day of the rota on which the defect of each instance rests, -1 for most.
    """

    missing: Mapping[date, frozenset[tuple[str, str]]] = field(default_factory=dict)
    left: Mapping[int, date] = field(default_factory=dict)
    away: Sequence[tuple[Ints, Ints]] = ()
    recurring: Sequence[Ints] = ()

    def missing_on(self, day: date) -> frozenset[tuple[str, str]]:
        """Systems and datasets that are not delivered on a day."""
        return self.missing.get(day, frozenset())

    def estate_on(self, estate: Estate, day: date) -> Estate:
        """The estate after the owners who have left by a day."""
        gone = [owner for owner, since in self.left.items() if since <= day]
        if not gone:
            return estate
        inactive = estate.inactive_owners.copy()
        inactive[gone] = True
        owner_left = inactive[estate.owner] & (estate.group != GROUP_WITHOUT_OWNERS)
        return replace(estate, inactive_owners=inactive, owner_left=owner_left)

    def inventory_on(self, number: int, inventory: Inventory, day: date) -> Inventory:
        """What the ``number``-th system has in its inventory on a day."""
        if not self.away:
            return inventory
        leaves, returns = self.away[number]
        recurring = self.recurring[number]
        rests = np.where(recurring >= 0, recurring, inventory.schedule.rests)
        inventory = replace(inventory, schedule=replace(inventory.schedule, rests=rests))
        return _taken(inventory, (day.toordinal() < leaves) | (day.toordinal() >= returns))


NO_INCIDENTS = Incidents()


def plan_incidents(
    rng: np.random.Generator, estate: Estate, inventories: Sequence[Inventory], first_day: date, days: int
) -> Incidents:
    """Incidents between the first and the last of some days, each at least once.

    Raises:
        ValueError: there are fewer than ``FEWEST_DAYS`` days.
    """
    if days < FEWEST_DAYS:
        raise ValueError(f"days is {days}: incidents, and what follows from them, take at least {FEWEST_DAYS} days")
    systems = [DIALECTS[number].system for number in rng.permutation(len(DIALECTS))]
    absent = [
        (systems[0], "metric_instances"),
        (systems[1], "metric_samples"),
        (systems[2], "metric_definitions"),
        ("cmdb", "configuration_items"),
        ("cmdb", "owners"),
    ]
    between = [first_day + timedelta(days=int(number)) for number in 1 + rng.permutation(days - 2)]
    missing = {day: frozenset([delivery]) for day, delivery in zip(between, absent, strict=False)}
    leavers = _choose_leavers(rng, estate)
    left = {owner: first_day + timedelta(days=int(rng.integers(1, days - 1))) for owner in leavers}
    plans = [_plan_series(rng, inventory, first_day, days) for inventory in inventories]
    return Incidents(
        missing=missing,
        left=left,
        away=[(leaves, returns) for leaves, returns, _ in plans],
        recurring=[recurring for _, _, recurring in plans],
    )


def _choose_leavers(rng: np.random.Generator, estate: Estate) -> list[int]:
    """Owners of several CIs whom the CMDB names for these alone."""
    owned = estate.owner[(estate.owner >= 0) & ~estate.forgotten_owner & ~estate.never_registered]
    several = np.bincount(owned, minlength=OWNERS) >= _FEWEST_CIS_OF_A_LEAVER
    eligible: Bools = several & ~estate.inactive_owners & ~named_for_others(estate)
    return [int(owner) for owner in rng.permutation(np.flatnonzero(eligible))[:_LEAVERS]]


def _plan_series(rng: np.random.Generator, inventory: Inventory, first_day: date, days: int) -> tuple[Ints, Ints, Ints]:
    """When series leave the inventory and are back, and on which day of the rota defects rest.

    Only series with a defect of their own: what a faultless one does decides which series deliver points.
    """
    defects = [TRAIT[name] for name in SERIES_DEFECTS if name != "unusable_record"]
    by_itself = (inventory.sharing == ALONE) & (inventory.contradicts == 0) & (inventory.contradicted == 0)
    eligible = np.isin(inventory.trait, defects) & by_itself & (inventory.cause == NO_CAUSE)
    chosen = rng.permutation(np.flatnonzero(eligible))
    away = chosen[: max(1, round(len(chosen) * _SHARE_AWAY))]
    recurring = chosen[len(away) : len(away) + max(1, round(len(chosen) * _SHARE_RECURRING))]
    never = date.max.toordinal()
    leaves = np.full(len(inventory), never)
    returns = np.full(len(inventory), never)
    leaves[away] = first_day.toordinal() + rng.integers(1, days - 2, len(away))
    stays = np.arange(len(away)) % _ONE_STAYS_AWAY_IN == _ONE_STAYS_AWAY_IN - 1
    returns[away] = np.where(stays, never, leaves[away] + rng.integers(1, 4, len(away)))
    rests = np.full(len(inventory), -1)
    rests[recurring] = np.arange(len(recurring)) % DAYS_OF_ROTA
    return leaves, returns, rests


def _taken(inventory: Inventory, kept: Bools) -> Inventory:
    """The inventory with some of its instances."""
    arrays = {
        each.name: getattr(inventory, each.name)[kept]
        for each in fields(inventory)
        if isinstance(getattr(inventory, each.name), np.ndarray)
    }
    schedule = inventory.schedule
    return replace(
        inventory, **arrays, schedule=Schedule(schedule.phase[kept], schedule.transient[kept], schedule.rests[kept])
    )
