"""The CIs of the firm, who maintains and owns them, and what is wrong with them and their racks.

Belongs here: structure that does not change from day to day, as arrays over CIs and racks, and the defects of
whole racks, groups, owners and CIs. Does not belong here: series (``inventory``) or the CMDB's files
(``cmdb``).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
import numpy.typing as npt

from omgov_assets.sample_firm.business_day import Bools, BusinessDay, Ints, Schedule
from omgov_assets.sample_firm.catalogue import BASELINE, CI_CLASSES, current_slots, slots_of_class
from omgov_assets.sample_firm.dialects import DIALECTS
from omgov_assets.sample_firm.racks import NO_RACK, lay_subnets, roll_out_agents

APPLICATION, HOST, DATABASE, NETWORK_DEVICE = range(4)
FULL_SIZE = 2_000_000
BRANCHES, OFFICES, GROUPS, OWNERS = 37, 342, 60, 900
SITES = 1 + 5 + BRANCHES + OFFICES

# Of each group, its first member is kept for applications whose owner left, its last has left and owns
# nothing.
MEMBERS = OWNERS // GROUPS
GROUP_WITHOUT_OWNERS = 0

# Share of the firm's instances that stand in a rack with the defect.
RACK_DEFECTS = {
    "dead_collector": 0.0064,
    "skewed_collector_clock": 0.0035,
    "collector_reports_kilobytes": 0.0110,
    "polling_interval_overridden": 0.0038,
    "retired_rack_still_reporting": 0.0038,
    "rack_never_registered": 0.0038,
    "lossy_link": 0.0038,
    "slice_exported_twice": 0.0022,
}
NO_RACK_DEFECT = -1
RACK_DEFECT = {name: code for code, name in enumerate(RACK_DEFECTS)}

_SHARE_SHARED = 0.03
CONTRADICTIONS = ("none", "unit", "interval", "attributes")
_CONTRADICTION_ODDS = (0.70, 0.10, 0.10, 0.10)
_WEIGHT_OF_CLASS = {APPLICATION: 0.06, HOST: 0.74, DATABASE: 0.12, NETWORK_DEVICE: 0.08}

# A CI carries at most one series of a retired metric.
NO_OLD_SERIES = -1
_SHARE_OLD_SERIES = 0.0005
_MOST_CIS_WITH_OLD_SERIES = 0.25

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estate:
    """Arrays over the CIs that report (applications, hosts, databases, network devices, in this order) and
    over racks.

    Attributes:
        ci_class: class of each CI; ``reports_as`` differs for databases whose agent delivers a host's series.
        system: business system (position in ``DIALECTS``) that monitors the CI; ``second_system`` of shared
            hosts, else -1.
        contradiction: how the second system contradicts the first (position in ``CONTRADICTIONS``).
        rack: -1 for applications. ``rack_*`` are arrays over racks.
        owner: -1 where nobody is entered.
        host_of: host that a database runs on, -1 for others; ``application`` is the CI's main application.
        weight: expected part of the firm's instances; 0 where nobody monitors the CI.
        lacking: number of baseline series that the agent of the CI does not deliver, mostly 0.
        second_complete: shared hosts whose second system delivers what the first lacks.
        old_series: number of the retired metric's series that the CI still carries, else -1.
        rack_subnet: number of the subnet of each rack; a subnet belongs to one site.
        agent_version: position in ``AGENT_VERSIONS``.
        silent_hosts: number of hosts behind the others that are decommissioned or planned and report nothing.
    """

    ci_class: Ints
    reports_as: Ints
    system: Ints
    second_system: Ints
    contradiction: Ints
    application: Ints
    host_of: Ints
    rack: Ints
    site: Ints
    group: Ints
    owner: Ints
    weight: Floats
    offset: Ints
    number: Ints
    lacking: Ints
    second_complete: Bools
    old_series: Ints
    rack_site: Ints
    rack_subnet: Ints
    rack_defect: Ints
    rack_schedule: Schedule
    forgotten_owner: Bools
    owner_left: Bools
    no_site: Bools
    unknown_group: Bools
    entered_twice: Bools
    unrelated: Bools
    nanosecond_team: Bools
    inactive_owners: Bools
    agent_version: Ints
    silent_hosts: int

    @property
    def tier(self) -> Ints:
        """How important each application is; says nothing of other CIs."""
        return 1 + self.offset % 3

    @property
    def required(self) -> Ints:
        """Number of baseline series that an agent of the CI's kind delivers."""
        return _required(self.reports_as, self.tier)

    @property
    def never_onboarded(self) -> Bools:
        """CIs that nobody monitors."""
        nobody: Bools = self.weight == 0
        return nobody

    @property
    def never_registered(self) -> Bools:
        """CIs that the CMDB does not know."""
        unknown: Bools = self.rack_defect_of_ci == RACK_DEFECT["rack_never_registered"]
        return unknown

    def retired(self, day: BusinessDay) -> Bools:
        """CIs that the CMDB calls decommissioned on the day although they report."""
        retired = (self.rack_defect == RACK_DEFECT["retired_rack_still_reporting"]) & self.rack_schedule.shows(day)
        of_ci: Bools = (self.rack != NO_RACK) & retired[self.rack]
        return of_ci

    @property
    def rack_defect_of_ci(self) -> Ints:
        """Defect of the rack that each CI stands in."""
        return np.where(self.rack == NO_RACK, NO_RACK_DEFECT, self.rack_defect[self.rack])


def build_estate(rng: np.random.Generator, instances: int) -> Estate:
    """The estate of a firm with so many metric instances."""
    scale = instances / FULL_SIZE
    applications = max(200, round(800 * scale))
    hosts = max(300, round(34_000 * scale))
    databases = max(60, round(6_000 * scale))
    devices = max(48, round(1_200 * scale))
    total = applications + hosts + databases + devices
    classes = np.repeat([APPLICATION, HOST, DATABASE, NETWORK_DEVICE], [applications, hosts, databases, devices])

    rack_size = min(20, max(2, round(20 * sqrt(scale))))
    racks = ceil(hosts / rack_size)
    rack_system = _apportion(rng, racks)
    rack_site = np.where(rng.random(racks) < 0.7, rng.integers(0, 6, racks), rng.integers(6, SITES, racks))
    host_rack = np.arange(hosts) // rack_size
    host_of_database = rng.permutation(hosts)[:databases]
    rack = np.concatenate(
        [
            np.full(applications, NO_RACK),
            host_rack,
            host_rack[host_of_database],
            rng.integers(0, racks, devices),
        ]
    )
    application_system = _apportion(rng, applications)
    system = np.where(rack == NO_RACK, np.resize(application_system, total), rack_system[rack])
    application = _main_applications(application_system, system, classes, applications)

    application_group, application_owner, left = _staff_applications(rng, applications)
    group, owner = application_group[application], application_owner[application]
    colleagues = group * MEMBERS + rng.integers(1, MEMBERS - 1, total)
    owner = np.where((classes != APPLICATION) & ~left[application] & (rng.random(total) < 0.3), colleagues, owner)
    inactive = np.zeros(OWNERS, dtype=bool)
    inactive[MEMBERS - 1 :: MEMBERS * 5] = True
    inactive[application_owner[left]] = True

    offset = rng.integers(0, 1 << 30, total)
    weight = rng.uniform(0.65, 1.3, total)
    for ci_class, share in _WEIGHT_OF_CLASS.items():
        mine = classes == ci_class
        weight[mine] *= share / weight[mine].sum()
    in_rack = rack != NO_RACK
    rack_weight: Floats = np.bincount(rack[in_rack], weight[in_rack], racks).astype(np.float64)
    rack_defect = _choose_racks(rng, rack_weight)
    of_ci = np.where(rack == NO_RACK, NO_RACK_DEFECT, rack_defect[rack])
    registered = of_ci != RACK_DEFECT["rack_never_registered"]

    unaltered = ~np.isin(of_ci, [RACK_DEFECT[name] for name in _ALTERING])
    could_be_shared = (classes == HOST) & unaltered
    shared = could_be_shared & (rng.random(total) < _SHARE_SHARED)
    # The smallest firm has each contradiction as well, whatever the seed.
    too_few = max(0, len(CONTRADICTIONS) - int(shared.sum()))
    shared[np.flatnonzero(could_be_shared & ~shared)[:too_few]] = True
    second = np.where(shared, (system + rng.integers(1, len(DIALECTS), total)) % len(DIALECTS), -1)
    contradiction = np.where(shared, rng.choice(len(CONTRADICTIONS), total, p=_CONTRADICTION_ODDS), 0)
    contradiction[np.flatnonzero(shared)[: len(CONTRADICTIONS)]] = np.arange(len(CONTRADICTIONS))

    def some(eligible: Bools, share: float) -> Bools:
        return _some(rng, eligible & registered, share)

    runs_database = np.zeros(total, dtype=bool)
    runs_database[applications + host_of_database] = True
    wrong_agent = some(classes == DATABASE, 0.016)
    reports_as = np.where(wrong_agent, HOST, classes)
    weight[some((of_ci == NO_RACK_DEFECT) & ~shared & ~wrong_agent, 0.001)] = 0
    old_series = _choose_old_series(rng, instances, system, reports_as, ~shared & (weight > 0))
    lacking, second_complete = _choose_incomplete_agents(
        rng,
        _required(classes, 1 + offset % 3),
        classes,
        registered & ~wrong_agent & (weight > 0),
        shared,
        contradiction,
    )
    return Estate(
        ci_class=classes,
        reports_as=reports_as,
        system=system,
        second_system=second,
        contradiction=contradiction,
        application=application,
        host_of=_at(applications + host_of_database, classes == DATABASE),
        rack=rack,
        site=np.where(rack == NO_RACK, -1, rack_site[rack]),
        group=group,
        owner=np.where(group == GROUP_WITHOUT_OWNERS, -1, owner),
        weight=weight,
        offset=offset,
        number=np.concatenate([np.arange(n) for n in (applications, hosts, databases, devices)]) + 1,
        lacking=lacking,
        second_complete=second_complete,
        old_series=old_series,
        rack_site=rack_site,
        rack_subnet=lay_subnets(rack_site),
        rack_defect=rack_defect,
        rack_schedule=_draw_rack_schedule(rng, rack_defect),
        forgotten_owner=some(np.ones(total, dtype=bool), 0.002),
        owner_left=inactive[owner] & (group != GROUP_WITHOUT_OWNERS),
        no_site=some(classes != APPLICATION, 0.003),
        unknown_group=some(np.ones(total, dtype=bool), 0.003),
        entered_twice=some(np.ones(total, dtype=bool), 0.001),
        unrelated=some((classes == HOST) & ~runs_database, 0.004),
        nanosecond_team=some(classes == APPLICATION, 0.03),
        inactive_owners=inactive,
        agent_version=roll_out_agents(rng, rack, racks),
        silent_hosts=max(6, round(hosts * 0.015)),
    )


# Defects that change units, intervals or identity would contradict the other system, too: shared hosts stay
# clear.
_ALTERING = ("collector_reports_kilobytes", "polling_interval_overridden", "rack_never_registered")


def _apportion(rng: np.random.Generator, count: int) -> Ints:
    """Business systems for ``count`` things by the systems' shares."""
    bounds = np.cumsum([dialect.share for dialect in DIALECTS])
    return rng.permutation(np.minimum(np.searchsorted(bounds, (np.arange(count) + 0.5) / count), len(DIALECTS) - 1))


def _main_applications(application_system: Ints, system: Ints, classes: Ints, applications: int) -> Ints:
    """Neighbouring CIs of a system belong to the same application of that system."""
    application = np.zeros(len(system), dtype=np.int64)
    application[:applications] = np.arange(applications)
    for number in range(len(DIALECTS)):
        candidates = np.flatnonzero(application_system == number)
        for ci_class in (HOST, DATABASE, NETWORK_DEVICE):
            mine = np.flatnonzero((system == number) & (classes == ci_class))
            application[mine] = candidates[np.arange(len(mine)) * len(candidates) // max(1, len(mine))]
    return application


def _staff_applications(rng: np.random.Generator, applications: int) -> tuple[Ints, Ints, Bools]:
    """Group and owner of each application, and which applications lost their owner."""
    group = rng.integers(1, GROUPS, applications)
    order = rng.permutation(applications)
    ownerless, leaving = max(1, round(applications * 0.006)), max(1, round(applications * 0.0045))
    group[order[:ownerless]] = GROUP_WITHOUT_OWNERS
    owner = group * MEMBERS + rng.integers(1, MEMBERS - 1, applications)
    left = np.zeros(applications, dtype=bool)
    left[order[ownerless : ownerless + leaving]] = True
    owner[left] = group[left] * MEMBERS
    return group, owner, left


def _choose_racks(rng: np.random.Generator, rack_weight: Floats) -> Ints:
    """Disjoint racks per defect, until they hold the defect's share of instances; at least one rack each."""
    defect = np.full(len(rack_weight), NO_RACK_DEFECT)
    order = rng.permutation(len(rack_weight))
    start = 0
    for name, share in RACK_DEFECTS.items():
        reached = np.cumsum(rack_weight[order[start:]])
        count = max(1, int(np.searchsorted(reached, share)))
        defect[order[start : start + count]] = RACK_DEFECT[name]
        start += count
    return defect


def _draw_rack_schedule(rng: np.random.Generator, rack_defect: Ints) -> Schedule:
    schedule = Schedule.draw(rng, len(rack_defect))
    for code in RACK_DEFECT.values():
        schedule.transient[np.flatnonzero(rack_defect == code)[0]] = False
    schedule.transient[rack_defect == RACK_DEFECT["rack_never_registered"]] = False
    return schedule


def _required(reports_as: Ints, tier: Ints) -> Ints:
    """Size of the baseline by class; applications of lower tiers do without its second series."""
    sizes = np.array([len(BASELINE[name]) for name in CI_CLASSES])[reports_as]
    return np.where((reports_as == APPLICATION) & (tier > 1), 1, sizes)


def _choose_incomplete_agents(
    rng: np.random.Generator, required: Ints, classes: Ints, eligible: Bools, shared: Bools, contradiction: Ints
) -> tuple[Ints, Bools]:
    """How many baseline series each CI's agent lacks, and where the second system has them nevertheless."""
    lacking = np.zeros(len(classes), dtype=np.int64)
    alike = eligible & shared & (contradiction == 0)
    complete = np.zeros(len(classes), dtype=bool)
    chosen = rng.permutation(np.flatnonzero(alike))
    complete[chosen[: max(1, round(len(chosen) * 0.05))]] = True
    lacking[complete] = required[complete]
    for ci_class in (APPLICATION, HOST, DATABASE, NETWORK_DEVICE):
        mine = rng.permutation(np.flatnonzero(eligible & ~complete & (classes == ci_class)))
        # Among the hosts is one whose second system lacks the same.
        in_both = mine[alike[mine]][:1]
        mine = np.concatenate([in_both, mine[mine != in_both]]) if len(in_both) else mine
        mine = mine[: max(1, round(len(mine) * 0.004))]
        # Some lack the whole baseline, others the end of it only.
        lacking[mine] = 1 + rng.integers(0, required[mine])
    return lacking, complete


def _choose_old_series(
    rng: np.random.Generator, instances: int, system: Ints, reports_as: Ints, eligible: Bools
) -> Ints:
    """CIs that still carry a retired metric, each of the metrics on others; some are of the largest system."""
    old = np.full(len(reports_as), NO_OLD_SERIES)
    for ci_class, name in enumerate(CI_CLASSES):
        mine = rng.permutation(np.flatnonzero(eligible & (reports_as == ci_class)))
        mine = mine[np.argsort(system[mine] != 0, kind="stable")]
        kinds = len(slots_of_class(name)) - current_slots(name)
        wanted = min(round(instances * _SHARE_OLD_SERIES), int(len(mine) * _MOST_CIS_WITH_OLD_SERIES))
        first, others = mine[: 2 * kinds], rng.permutation(mine[2 * kinds :])
        chosen = np.concatenate([first, others[: max(0, (wanted - 2) * kinds)]])
        old[chosen] = np.arange(len(chosen)) % kinds
    return old


def _some(rng: np.random.Generator, eligible: Bools, share: float) -> Bools:
    """A share of the eligible, at least two."""
    candidates = np.flatnonzero(eligible)
    chosen = np.zeros(len(eligible), dtype=bool)
    chosen[rng.permutation(candidates)[: max(2, round(len(candidates) * share))]] = True
    return chosen


def _at(values: Ints, where: Bools) -> Ints:
    """``values`` laid out so that the positions of ``where`` get them in order, -1 elsewhere."""
    spread = np.full(len(where), -1)
    spread[where] = values
    return spread
