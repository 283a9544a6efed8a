"""Planted causes: cells of the firm in which one defect of single series is much more frequent than elsewhere.

Belongs here: which cells there are, and which series in them get the defect. Does not belong here: what a series with
the defect reports (``profiles``), causes that lie in the firm's structure (``causes``).

A cell is chosen by its *support* (its part of the firm's instances) and so that the defect's *lift* in it (rate of its
anomaly type inside over the rate outside) can be reached with series that are otherwise faultless.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from omgov_assets.sample_firm.business_day import DAYS_OF_ROTA, Bools, Ints
from omgov_assets.sample_firm.catalogue import load_catalogue
from omgov_assets.sample_firm.cells import Cells, Conditions
from omgov_assets.sample_firm.ci_attributes import NO_VALUE
from omgov_assets.sample_firm.definitions import NO_UNIT, OTHER_UNIT, SOUND
from omgov_assets.sample_firm.estate import NO_RACK_DEFECT, RACK_DEFECT, Estate, Floats
from omgov_assets.sample_firm.inventory import ALONE, NO_CAUSE, NOTHING, TRAIT, Inventory, allowed_traits

# What each defect of single series is found as.
ANOMALY_TYPES = {
    "stuck_sensor": "flat_line",
    "broken_aggregation": "profile_inconsistent",
    "sensor_glitch": "value_out_of_range",
    "registered_but_silent": "never_reported",
    "parser_drops_attribute": "attribute_missing",
    "agent_drops_unit": "unit_missing",
    "agent_mixes_units_up": "unit_incompatible",
}


@dataclass(frozen=True)
class _Recipe:
    """A kind of cause: the attributes of its cell, the defect, and the ranges of support and lift.

    ``fewest``: series that the lift needs at least. ``otherwise``: attributes to take where no cell by the first ones
    would do. ``within`` and ``across`` name an earlier recipe by its position: the cell lies in that one's, or shares
    instances with it. ``pauses``: the cause may be one of the four that rest one day in four, so that one of them
    begins on the day after any day.
    """

    attributes: tuple[str, ...]
    defect: str
    support: tuple[float, float]
    lift: tuple[float, float]
    fewest: int = 3
    otherwise: tuple[tuple[str, ...], ...] = ()
    within: int | None = None
    across: int | None = None
    pauses: bool = False


_RECIPES = (
    _Recipe(("system",), "broken_aggregation", (0.08, 0.19), (2.6, 2.9), otherwise=(("site",), ("agent_version",))),
    # One with room for a cause within it.
    _Recipe(("agent_version",), "stuck_sensor", (0.06, 0.14), (4.0, 5.0), fewest=9),
    _Recipe(
        ("system", "agent_version"),
        "stuck_sensor",
        (0.004, 0.015),
        (10.0, 15.0),
        otherwise=tuple((name, "agent_version") for name in ("site", "support_group", "subnet", "application", "rack")),
        within=1,
    ),
    _Recipe(("site",), "registered_but_silent", (0.04, 0.14), (2.8, 3.6)),
    _Recipe(("support_group",), "agent_drops_unit", (0.01, 0.03), (5.0, 8.0), across=3),
    _Recipe(("metric",), "sensor_glitch", (0.004, 0.02), (8.0, 14.0), pauses=True),
    _Recipe(("system", "metric"), "agent_mixes_units_up", (0.001, 0.005), (25.0, 36.0)),
    _Recipe(("subnet",), "parser_drops_attribute", (0.002, 0.03), (6.0, 10.0), pauses=True),
    _Recipe(("rack",), "broken_aggregation", (0.0005, 0.006), (28.0, 38.0)),
    _Recipe(("application",), "agent_mixes_units_up", (0.001, 0.01), (12.0, 18.0), pauses=True),
    _Recipe(("owner",), "sensor_glitch", (0.001, 0.006), (14.0, 22.0), pauses=True),
    _Recipe(("collector",), "agent_drops_unit", (0.0005, 0.006), (18.0, 26.0), pauses=True),
    _Recipe(("metric", "agent_version"), "registered_but_silent", (0.0005, 0.001), (30.0, 35.0)),
    _Recipe(("system", "site", "agent_version"), "parser_drops_attribute", (0.004, 0.02), (4.0, 6.0)),
    _Recipe(("metric", "support_group"), "sensor_glitch", (0.0005, 0.001), (15.0, 25.0), pauses=True),
    _Recipe(("system", "support_group", "agent_version"), "broken_aggregation", (0.001, 0.006), (8.0, 12.0)),
)
_FEWEST_OF_ITS_OWN = 3
# However far from its recipe's range, no cell has less or more than this part of the firm's instances.
_LEAST_SUPPORT, _MOST_SUPPORT = 0.0005, 0.2
# Part of the faultless series of a cell that its cause may take.
_MOST_OF_CELL = 0.7
# A cell within another one is less than this part of it, and its cause takes less than this part of what the other
# one needs.
_MOST_OF_OUTER_CELL = 0.35
_MOST_OF_OUTER_CAUSE = 0.8
# Cells that lie across each other both reach beyond what they share by this part at least.
_LEAST_BEYOND = 0.2
# Two causes share fewer of their instances than this, or nobody could tell them apart.
_MOST_ALIKE = 0.5
# Without any one of its conditions a cell is larger by this factor at least, or the condition would say nothing.
_LEAST_CUT = 1.3
_ROUNDS = 30
_FEWEST_POINTS_INTERVAL_S = 1800


@dataclass(frozen=True)
class PlantedCause:
    """A cell, given by attributes and their values, and the defect that is frequent in it."""

    cause_id: str
    conditions: Conditions
    defect: str

    @property
    def anomaly_type(self) -> str:
        """What the defect is found as."""
        return ANOMALY_TYPES[self.defect]


@dataclass(frozen=True)
class _Chosen:
    recipe: _Recipe
    conditions: Conditions
    cell: Bools
    lift: float

    def added(self, firm: _Series) -> float:
        """How many series need the defect for the lift, other causes aside."""
        anomalous = firm.anomalous[self.recipe.defect]
        instances, inside = int(self.cell.sum()), int((anomalous & self.cell).sum())
        return self.lift * (int(anomalous.sum()) - inside) / (firm.size - instances) * instances - inside


def plant_causes(
    rng: np.random.Generator, estate: Estate, inventories: Sequence[Inventory], cells: Sequence[Cells]
) -> tuple[list[Inventory], list[PlantedCause]]:
    """Give the defects of the causes to series that are otherwise faultless.

    Args:
        rng: where the cells and the series come from.
        estate: the CIs.
        inventories: of all systems.
        cells: of the same systems, by the CMDB of a day that does not depend on the days that are generated.

    Returns:
        The inventories with the causes, and the causes; the smallest firms do without some.
    """
    firm = _Series(estate, inventories, cells)
    chosen = list(_choose_cells(rng, firm))
    cause = np.full(firm.size, NO_CAUSE)
    for number, members in _choose_members(rng, firm, chosen):
        cause[members] = number
    causes = [
        PlantedCause(f"planted-{number:02d}", each.conditions, each.recipe.defect)
        for number, each in enumerate(chosen, start=1)
    ]
    return firm.with_causes(cause, chosen), causes


class _Series:
    """All series of the firm in one row, system after system."""

    def __init__(self, estate: Estate, inventories: Sequence[Inventory], cells: Sequence[Cells]) -> None:
        self._inventories = inventories
        self._cells = cells
        self.bounds = np.cumsum([0, *(len(inventory) for inventory in inventories)])
        self.size = int(self.bounds[-1])
        faultless = [_faultless(estate, inventory) for inventory in inventories]
        self.eligible = {
            defect: np.concatenate(
                [free & _can_have(defect, inventory) for free, inventory in zip(faultless, inventories, strict=True)]
            )
            for defect in ANOMALY_TYPES
        }
        self.anomalous = {
            defect: np.concatenate([_is_anomalous(defect, estate, inventory) for inventory in inventories])
            for defect in ANOMALY_TYPES
        }

    def codes(self, attribute: str) -> Ints:
        """Codes of all series, series × values; those of collectors are unlike in every system."""
        found, start = [], 0
        for inventory, cells in zip(self._inventories, self._cells, strict=True):
            codes = cells.codes(attribute, np.arange(len(inventory)))
            if attribute == "collector":
                codes, start = codes + start, start + len(inventory.collector_names)
            found.append(codes)
        return np.concatenate(found)

    def value(self, attribute: str, code: int) -> str:
        """Text of a code."""
        if attribute != "collector":
            return self._cells[0].value(attribute, code)
        return [name for inventory in self._inventories for name in inventory.collector_names][code]

    def cell(self, conditions: Conditions) -> Bools:
        """Which series lie in a cell."""
        inside = np.zeros(self.size, dtype=bool)
        for start, cells in zip(self.bounds, self._cells, strict=False):
            inside[start + cells.positions(conditions)] = True
        return inside

    def with_causes(self, cause: Ints, chosen: Sequence[_Chosen]) -> list[Inventory]:
        """The inventories, each series with its cause."""
        trait = np.array([TRAIT[each.recipe.defect] for each in chosen] + [NOTHING])
        pausing = [number for number, each in enumerate(chosen) if each.recipe.pauses][:DAYS_OF_ROTA]
        rests = np.full(len(chosen) + 1, -1)
        rests[pausing] = np.arange(len(pausing))
        changed = []
        for inventory, start, end in zip(self._inventories, self.bounds, self.bounds[1:], strict=False):
            mine = cause[start:end]
            has = mine != NO_CAUSE
            schedule = replace(
                inventory.schedule,
                transient=inventory.schedule.transient & ~has,
                rests=np.where(has, rests[mine], inventory.schedule.rests),
            )
            changed.append(
                replace(inventory, trait=np.where(has, trait[mine], inventory.trait), schedule=schedule, cause=mine)
            )
        return changed


def _faultless(estate: Estate, inventory: Inventory) -> Bools:
    """Series with nothing wrong on any day, of one system alone, of a definition that can bear any defect."""
    ci = inventory.ci
    sound_ci = (
        (estate.rack_defect_of_ci == NO_RACK_DEFECT)
        & (estate.owner >= 0)
        & ~estate.forgotten_owner
        & ~estate.owner_left
        & ~estate.nanosecond_team
        & (estate.reports_as == estate.ci_class)
    )
    alone = (inventory.sharing == ALONE) & (estate.second_system[ci] < 0)
    current = ~np.array([bool(metric.retired) for metric in load_catalogue()])[inventory.metric]
    kind = inventory.definitions.kind[inventory.definition]
    bears_any = np.isin(kind, [SOUND, OTHER_UNIT])
    faultless: Bools = sound_ci[ci] & alone & current & bears_any & (inventory.trait == NOTHING)
    return faultless


def _can_have(defect: str, inventory: Inventory) -> Bools:
    """Where the defect makes sense for the metric and would be seen."""
    allowed: Bools = allowed_traits(inventory.definitions)[inventory.metric, TRAIT[defect]]
    return allowed & _is_seen(defect, inventory)


def _is_seen(defect: str, inventory: Inventory) -> Bools:
    """A flat line needs a day's points to be one."""
    interval_s = inventory.definitions.interval_s[inventory.definition]
    seen: Bools = (interval_s <= _FEWEST_POINTS_INTERVAL_S) | (defect != "stuck_sensor")
    return seen


def _is_anomalous(defect: str, estate: Estate, inventory: Inventory) -> Bools:
    """Where the anomaly type of a defect is found anyway, on most days."""
    catalogue = load_catalogue()
    reports = estate.rack_defect_of_ci[inventory.ci] != RACK_DEFECT["dead_collector"]
    anomalous: Bools = (inventory.trait == TRAIT[defect]) & _is_seen(defect, inventory) & reports
    if defect == "agent_drops_unit":
        has_unit = np.array([metric.standard and metric.unit != "1" for metric in catalogue])[inventory.metric]
        anomalous |= (inventory.definitions.kind[inventory.definition] == NO_UNIT) & has_unit
    if defect == "sensor_glitch":
        bounded = [metric.standard and metric.unit == "ms" and metric.valid_max is not None for metric in catalogue]
        anomalous |= estate.nanosecond_team[inventory.ci] & np.array(bounded)[inventory.metric]
    return anomalous


def _choose_cells(rng: np.random.Generator, firm: _Series) -> Iterator[_Chosen]:
    """A cell for each recipe for which the firm has one."""
    chosen: dict[int, _Chosen] = {}
    for number, recipe in enumerate(_RECIPES):
        lift = float(np.exp(rng.uniform(*np.log(recipe.lift))))
        if not {recipe.within, recipe.across} <= {None, *chosen}:
            continue
        within = None if recipe.within is None else chosen[recipe.within]
        across = None if recipe.across is None else chosen[recipe.across].cell
        others = list(chosen.values())
        for attributes in (recipe.attributes, *recipe.otherwise):
            candidates = _candidates(rng, firm, replace(recipe, attributes=attributes), lift, within, across)
            cells = ((conditions, firm.cell(conditions)) for conditions in candidates)
            found = next((each for each in cells if _is_distinct(firm, *each, others)), None)
            if found:
                chosen[number] = _Chosen(recipe, *found, lift)
                break
    yield from chosen.values()


def _candidates(
    rng: np.random.Generator, firm: _Series, recipe: _Recipe, lift: float, within: _Chosen | None, across: Bools | None
) -> Iterator[Conditions]:
    """Cells that could have the cause: those of the wanted support in random order, then the nearest to it."""
    rows, key, sizes = _keys(firm, recipe.attributes)
    cells = int(np.prod(sizes))

    def count(where: Bools) -> Ints:
        return np.bincount(key[where[rows]], minlength=cells)

    anomalous = firm.anomalous[recipe.defect]
    instances, already = np.bincount(key, minlength=cells), count(anomalous)
    outside = (anomalous.sum() - already) / np.maximum(firm.size - instances, 1)
    added: Floats = lift * outside * instances - already
    fits = (added >= recipe.fewest) & (added <= _MOST_OF_CELL * count(firm.eligible[recipe.defect]))
    fits &= (instances >= _LEAST_SUPPORT * firm.size) & (instances <= _MOST_SUPPORT * firm.size)
    if within is not None:
        # The outer cause must have series of its own beside those of the inner one, at a lower rate.
        fits &= (count(within.cell) == instances) & (instances < _MOST_OF_OUTER_CELL * within.cell.sum())
        fits &= added <= _MOST_OF_OUTER_CAUSE * within.added(firm)
    if across is not None:
        shared = count(across)
        fits &= (shared >= recipe.fewest) & (shared < (1 - _LEAST_BEYOND) * np.minimum(instances, across.sum()))
    low, high = np.log(recipe.support)
    support = np.log(np.maximum(instances, 1) / firm.size)
    distance = np.maximum(low - support, 0) + np.maximum(support - high, 0)
    possible = rng.permutation(np.flatnonzero(fits))
    for cell in possible[np.argsort(distance[possible], kind="stable")]:
        codes = np.unravel_index(cell, sizes)
        yield tuple(
            (attribute, firm.value(attribute, int(code)))
            for attribute, code in zip(recipe.attributes, codes, strict=True)
        )


def _keys(firm: _Series, attributes: tuple[str, ...]) -> tuple[Ints, Ints, tuple[int, ...]]:
    """For each series and each cell that it lies in: the series, the cell, and the number of values by attribute."""
    rows = np.arange(firm.size)
    columns: list[Ints] = []
    for attribute in attributes:
        codes = firm.codes(attribute)[rows]
        known, which = np.nonzero(codes != NO_VALUE)
        columns = [*(column[known] for column in columns), codes[known, which]]
        rows = rows[known]
    sizes = tuple(int(column.max()) + 1 for column in columns)
    return rows, np.ravel_multi_index(tuple(columns), sizes), sizes


def _is_distinct(firm: _Series, conditions: Conditions, cell: Bools, others: Sequence[_Chosen]) -> bool:
    """Whether every condition cuts something off and no other cause has nearly the same cell."""
    size = int(cell.sum())
    for left_out in range(len(conditions)):
        fewer = conditions[:left_out] + conditions[left_out + 1 :]
        if fewer and firm.cell(fewer).sum() < _LEAST_CUT * size:
            return False
    return all(int((cell & other.cell).sum()) < _MOST_ALIKE * int((cell | other.cell).sum()) for other in others)


def _choose_members(rng: np.random.Generator, firm: _Series, chosen: Sequence[_Chosen]) -> Iterator[tuple[int, Ints]]:
    """For each cause, by its position, the series that get its defect; no series is of two causes."""
    pools = [_pool(firm, each, chosen) for each in chosen]
    wanted = _wanted(firm, chosen, pools)
    taken = np.zeros(firm.size, dtype=bool)
    # Who has least to choose from chooses first.
    for number in sorted(range(len(chosen)), key=lambda number: int(pools[number].sum())):
        free = np.flatnonzero(pools[number] & ~taken)
        members = rng.permutation(free)[: wanted[number]]
        taken[members] = True
        yield number, members


def _pool(firm: _Series, cause: _Chosen, chosen: Sequence[_Chosen]) -> Bools:
    """What a cause can choose its series from: those of a cell within its own are left to the inner cause."""
    pool = firm.eligible[cause.recipe.defect] & cause.cell
    for other in chosen:
        if other.recipe.within is not None and _RECIPES[other.recipe.within] is cause.recipe:
            pool &= ~other.cell
    return pool


def _wanted(firm: _Series, chosen: Sequence[_Chosen], pools: Sequence[Bools]) -> list[int]:
    """How many series each cause needs for its lift, given that causes with the same defect raise each other's rates.

    The numbers are the fixed point of the definition of lift, found by iteration.
    """
    size = len(chosen)
    share = np.zeros((size, size))
    for i, cause in enumerate(chosen):
        for j, other in enumerate(chosen):
            if i != j and other.recipe.defect == cause.recipe.defect:
                share[i, j] = int((pools[j] & cause.cell).sum()) / max(1, int(pools[j].sum()))
    same = np.array([[a.recipe.defect == b.recipe.defect for b in chosen] for a in chosen], dtype=float)
    np.fill_diagonal(same, 0)
    lift = np.array([each.lift for each in chosen])
    instances = np.array([int(each.cell.sum()) for each in chosen])
    inside = np.array([int((firm.anomalous[each.recipe.defect] & each.cell).sum()) for each in chosen])
    overall = np.array([int(firm.anomalous[each.recipe.defect].sum()) for each in chosen])
    members = np.zeros(size)
    for _ in range(_ROUNDS):
        others_inside = share @ members
        outside = overall - inside + same @ members - others_inside
        members = np.maximum(lift * instances * outside / (firm.size - instances) - inside - others_inside, 0)
    # Less the share of another cause, which may be nearly all of it.
    return [max(_FEWEST_OF_ITS_OWN, round(number)) for number in members.tolist()]
