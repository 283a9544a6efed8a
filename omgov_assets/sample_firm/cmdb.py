"""The CMDB's files of a day, and what is wrong with its entries.

Belongs here: configuration items, support groups and owners as tables, and the anomalies of the items. Does not belong
here: how the estate came about (``estate``), the relations (``ci_relations``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from omgov_assets.sample_firm.business_day import Bools, BusinessDay, Ints
from omgov_assets.sample_firm.ci_attributes import CiAttributes, ci_attributes
from omgov_assets.sample_firm.ci_relations import one_in, relate
from omgov_assets.sample_firm.estate import (
    APPLICATION,
    BRANCHES,
    GROUPS,
    MEMBERS,
    OFFICES,
    OWNERS,
    SITES,
    Estate,
)
from omgov_assets.sample_firm.people import (
    MODEL_GROUP,
    MODEL_OWNER,
    Person,
    application_name,
    group_names,
    site_names,
)
from omgov_assets.sample_firm.racks import AGENT_VERSIONS, NO_RACK

_CLASS_NAMES = np.array(["application", "host", "database", "network_device"])
_UNKNOWN_GROUP = "SG-99"
_UNKNOWN_OWNER = "OWN-9999"

# Of so many CIs one has the defect; the smallest firm has each once.
_ONE_IN = {
    "owner_deleted": 700,
    "owner_moved": 500,
    "entries_disagree": 2,
    "entries_name_two_owners": 2,
}


@dataclass(frozen=True)
class CmdbDay:
    """The four tables of a day; anomalies as (anomaly type, CI, defect), look-alikes as (kind, type, CI), and the same
    of relations, with their keys in place of CIs.

    ``attributes`` are what all this says of the CIs. ``not_in_use`` are the hosts, with their status, that report
    nothing and need not.
    """

    tables: dict[str, pa.Table]
    anomalies: list[tuple[str, str, str]]
    look_alikes: list[tuple[str, str, str]]
    relation_anomalies: list[tuple[str, str, str]]
    relation_look_alikes: list[tuple[str, str, str]]
    attributes: CiAttributes
    not_in_use: list[tuple[str, str]]


def export_cmdb(estate: Estate, ids: list[str], people: list[Person], day: BusinessDay) -> CmdbDay:
    """What the CMDB delivers on the day."""
    names = np.array(ids)
    in_use = ~estate.retired(day)
    owned = (estate.owner >= 0) & ~estate.forgotten_owner
    listed = np.flatnonzero(~estate.never_registered)
    owners = _entered_owners(estate, in_use, owned)
    items = _items(estate, names, in_use, owners, day)
    silent = _silent_hosts(estate, day)
    once = pa.concat_tables([_sites(day), items.take(pa.array(listed)), silent])
    again = _entered_again(estate, items, owners)
    relations = relate(estate, names)
    tables = {
        "configuration_items": pa.concat_tables([once, again]),
        "ci_relations": _table(
            day,
            source_ci_id=pa.array([source for source, _, _ in relations.rows]),
            relation=pa.array([relation for _, relation, _ in relations.rows]),
            target_ci_id=pa.array([target for _, _, target in relations.rows]),
        ),
        "support_groups": _groups(day),
        "owners": _owners(estate, people, day),
    }
    anomalies = list(_anomalies(estate, names, in_use, owned, owners))
    not_in_use = list(zip(silent["ci_id"].to_pylist(), silent["status"].to_pylist(), strict=True))
    return CmdbDay(
        tables,
        anomalies,
        list(_look_alikes(estate, names, in_use, owners, not_in_use)),
        relations.anomalies,
        relations.look_alikes,
        ci_attributes(items, ~estate.never_registered, relations.rows),
        not_in_use,
    )


@dataclass(frozen=True)
class _EnteredOwners:
    """Whom the CMDB names for each CI: ``owner`` as a position in the firm's people; -1 where nobody is entered.

    ``deleted`` are CIs whose entry names somebody who is not there, ``moved`` those whose owner is of another group.
    """

    owner: Ints
    deleted: Bools
    moved: Bools


def _entered_owners(estate: Estate, in_use: Bools, owned: Bools) -> _EnteredOwners:
    eligible = in_use & owned & ~estate.owner_left & ~estate.never_registered & ~estate.unknown_group
    deleted = one_in(_ONE_IN["owner_deleted"], estate, eligible)
    moved = one_in(_ONE_IN["owner_moved"], estate, eligible & ~deleted & ~_disagreeing(estate))
    return _EnteredOwners(np.where(owned, np.where(moved, _elsewhere(estate), estate.owner), -1), deleted, moved)


def named_for_others(estate: Estate) -> Bools:
    """Owners, among the firm's people, whom entries name for CIs that are not theirs, on any day: these never leave."""
    twice = estate.entered_twice & (estate.owner >= 0)
    named = np.zeros(OWNERS, dtype=bool)
    named[_elsewhere(estate)] = True
    for first in (estate.owner[twice], _elsewhere(estate)[twice]):
        named[_colleague(first)] = True
    return named


def _elsewhere(estate: Estate) -> Ints:
    """For each CI the third member of another group."""
    third: Ints = (1 + estate.group % (GROUPS - 1)) * MEMBERS + 3
    return third


def _colleague(owner: Ints) -> Ints:
    """Another of the members of an owner's group who are not inactive."""
    member = 1 + owner % MEMBERS % (MEMBERS - 2)
    colleague: Ints = owner // MEMBERS * MEMBERS + member
    return colleague


def _disagreeing(estate: Estate) -> Bools:
    """CIs whose second entry names another support group than the first."""
    return one_in(_ONE_IN["entries_disagree"], estate, estate.entered_twice & ~estate.never_registered)


def _with_two_owners(estate: Estate, owners: _EnteredOwners) -> Bools:
    """CIs whose second entry names a colleague of the owner whom the first names."""
    eligible = estate.entered_twice & ~estate.never_registered & (owners.owner >= 0)
    return one_in(_ONE_IN["entries_name_two_owners"], estate, eligible) if eligible.any() else eligible


def _entered_again(estate: Estate, items: pa.Table, owners: _EnteredOwners) -> pa.Table:
    """The second entries."""
    other = np.char.add("SG-", np.char.zfill((2 + estate.group % (GROUPS - 1)).astype(str), 2))
    groups = np.where(_disagreeing(estate), other, np.array(items["support_group_id"].to_pylist()))
    colleague = _owner_ids(_colleague(owners.owner))
    named = np.where(_with_two_owners(estate, owners), colleague, np.array(items["owner_id"].to_pylist()))
    for column, values in (("support_group_id", groups), ("owner_id", named)):
        items = items.set_column(items.column_names.index(column), column, pa.array(values.tolist(), pa.string()))
    return items.take(pa.array(np.flatnonzero(estate.entered_twice)))


def _anomalies(
    estate: Estate, names: np.ndarray, in_use: Bools, owned: Bools, owners: _EnteredOwners
) -> Iterator[tuple[str, str, str]]:
    listed = ~estate.never_registered
    found = {
        ("ci_owner_missing", "group_without_owners"): in_use & (estate.owner < 0),
        ("ci_owner_missing", "forgotten_owner"): in_use & (estate.owner >= 0) & ~owned,
        ("ci_site_missing", "site_not_entered"): in_use & estate.no_site,
        ("ci_group_unknown", "group_dissolved"): estate.unknown_group,
        ("ci_duplicate", "ci_entered_twice"): estate.entered_twice,
        ("ci_unrelated", "host_without_relations"): in_use & estate.unrelated,
        ("ci_owner_inactive", "owner_left"): in_use & owned & estate.owner_left,
        ("ci_owner_unknown", "owner_deleted"): owners.deleted,
        ("ci_group_contradiction", "owner_moved"): owners.moved,
        ("ci_group_contradiction", "entries_disagree"): _disagreeing(estate),
        ("ci_owner_contradiction", "entries_name_two_owners"): _with_two_owners(estate, owners),
    }
    for (anomaly_type, defect), where in found.items():
        for name in names[where & listed]:
            yield anomaly_type, str(name), defect


def _look_alikes(
    estate: Estate, names: np.ndarray, in_use: Bools, owners: _EnteredOwners, not_in_use: list[tuple[str, str]]
) -> Iterator[tuple[str, str, str]]:
    for name in names[estate.owner_left & ~in_use & ~estate.never_registered][:50]:
        yield "owner_left_of_a_ci_not_in_use", "ci_owner_inactive", str(name)
    # Every second of the silent hosts is of somebody who left.
    for name, _ in not_in_use[::2]:
        yield "owner_left_of_a_ci_not_in_use", "ci_owner_inactive", name
    for name, status in not_in_use:
        if status == "decommissioned":
            yield "decommissioned_and_silent", "decommissioned_ci", name
            yield "decommissioned_and_not_reporting", "ci_decommissioned_reporting", name
    # A group that does not exist is not another group than the owner's.
    dissolved = estate.unknown_group & ~estate.never_registered & ~owners.moved & ~_disagreeing(estate)
    for name in names[dissolved & (owners.owner >= 0)][:50]:
        yield "owner_of_a_dissolved_group", "ci_group_contradiction", str(name)
    for name in names[(estate.ci_class == APPLICATION) & ~estate.never_registered][:50]:
        yield "application_without_site", "ci_site_missing", str(name)


def _items(estate: Estate, names: np.ndarray, in_use: Bools, owners: _EnteredOwners, day: BusinessDay) -> pa.Table:
    size = len(names)
    number = estate.number
    application = estate.ci_class == APPLICATION
    classes = _CLASS_NAMES[estate.ci_class]
    titles = [
        application_name(int(number[i]) - 1) if application[i] else f"{classes[i].replace('_', '')[:7]}{number[i]:06d}"
        for i in range(size)
    ]
    group = np.char.add("SG-", np.char.zfill((estate.group + 1).astype(str), 2))
    return _table(
        day,
        ci_id=pa.array(names),
        ci_class=pa.array(classes),
        name=pa.array(titles),
        status=pa.array(np.where(in_use, "in_use", "decommissioned")),
        site_id=pa.array(_site_ids(estate.site), mask=(estate.site < 0) | estate.no_site),
        rack=pa.array(_rack_names(estate.rack), mask=estate.rack == NO_RACK),
        support_group_id=pa.array(np.where(estate.unknown_group, _UNKNOWN_GROUP, group)),
        owner_id=pa.array(np.where(owners.deleted, _UNKNOWN_OWNER, _owner_ids(owners.owner)), mask=owners.owner < 0),
        tier=pa.array(estate.tier, mask=~application),
        ip_address=pa.array(_addresses(estate), mask=application),
        subnet=pa.array(_subnet_names(estate), mask=application),
        agent_version=pa.array(np.array(list(AGENT_VERSIONS))[estate.agent_version]),
    )


def _silent_hosts(estate: Estate, day: BusinessDay) -> pa.Table:
    """Hosts that report nothing and need not: decommissioned ones, and every fourth planned."""
    size = estate.silent_hosts
    number = np.arange(1, size + 1)
    left = np.flatnonzero(estate.inactive_owners)
    owner = np.where(number % 2 == 1, left[number % len(left)], (1 + number % (GROUPS - 1)) * MEMBERS + 1)
    return _table(
        day,
        ci_id=pa.array(np.char.add("HOST-9", np.char.zfill(number.astype(str), 5))),
        ci_class=pa.array(["host"] * size),
        name=pa.array([f"old{i:05d}" for i in number]),
        status=pa.array(np.where(number % 4 == 0, "planned", "decommissioned")),
        site_id=pa.array(_site_ids(number % SITES)),
        rack=pa.nulls(size, pa.string()),
        support_group_id=pa.array(np.char.add("SG-", np.char.zfill((2 + number % (GROUPS - 1)).astype(str), 2))),
        owner_id=pa.array(_owner_ids(owner)),
        tier=pa.nulls(size, pa.int64()),
        ip_address=pa.nulls(size, pa.string()),
        subnet=pa.nulls(size, pa.string()),
        agent_version=pa.nulls(size, pa.string()),
    )


def _sites(day: BusinessDay) -> pa.Table:
    return _table(
        day,
        ci_id=pa.array(_site_ids(np.arange(SITES))),
        ci_class=pa.array(["site"] * SITES),
        name=pa.array(site_names(BRANCHES, OFFICES)),
        status=pa.array(["in_use"] * SITES),
        site_id=pa.array(_site_ids(np.zeros(SITES, dtype=np.int64)), mask=np.arange(SITES) == 0),
        rack=pa.nulls(SITES, pa.string()),
        support_group_id=pa.array(np.char.add("SG-", np.char.zfill((2 + np.arange(SITES) % 50).astype(str), 2))),
        owner_id=pa.nulls(SITES, pa.string()),
        tier=pa.nulls(SITES, pa.int64()),
        ip_address=pa.nulls(SITES, pa.string()),
        subnet=pa.nulls(SITES, pa.string()),
        agent_version=pa.nulls(SITES, pa.string()),
    )


def _groups(day: BusinessDay) -> pa.Table:
    """The groups that maintain CIs and, last, the one that maintains the processing models."""
    number = np.arange(GROUPS)
    return _table(
        day,
        support_group_id=pa.array([*(f"SG-{i + 1:02d}" for i in number), "SG-DE"]),
        name=pa.array([*group_names(), MODEL_GROUP]),
        manager_id=pa.array(_owner_ids(np.append(number * MEMBERS + 1, 1))),
        email=pa.array([*(f"group{i + 1:02d}@example.com" for i in number), MODEL_OWNER]),
    )


def _owners(estate: Estate, people: list[Person], day: BusinessDay) -> pa.Table:
    number = np.arange(OWNERS)
    return _table(
        day,
        owner_id=pa.array(_owner_ids(number)),
        name=pa.array([person.name for person in people]),
        email=pa.array([person.email for person in people]),
        phone=pa.array([person.phone for person in people]),
        active=pa.array(~estate.inactive_owners),
        support_group_id=pa.array([f"SG-{i // MEMBERS + 1:02d}" for i in number]),
    )


def _table(day: BusinessDay, **columns: pa.Array) -> pa.Table:
    size = len(next(iter(columns.values())))
    return pa.table({**columns, "snapshot_day": pa.array([day.day] * size, pa.date32())})


def _owner_ids(owner: Ints) -> np.ndarray:
    return np.char.add("OWN-", np.char.zfill((owner + 1).astype(str), 4))


def _site_ids(site: Ints) -> np.ndarray:
    return np.char.add("SITE-", np.char.zfill((site + 1).astype(str), 4))


def _rack_names(rack: Ints) -> np.ndarray:
    return np.char.add("R", np.char.zfill((rack + 1).astype(str), 5))


def _subnet_names(estate: Estate) -> list[str]:
    return [f"{_prefix(subnet)}.0/24" for subnet in estate.rack_subnet[estate.rack].tolist()]


def _addresses(estate: Estate) -> list[str]:
    """Addresses within the subnets, in the order of the CIs from .1 on."""
    subnet = np.where(estate.rack == NO_RACK, -1, estate.rack_subnet[estate.rack])
    order = np.argsort(subnet, kind="stable")
    _, counts = np.unique(subnet, return_counts=True)
    number = np.empty(len(order), dtype=np.int64)
    number[order] = 1 + np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return [f"{_prefix(s)}.{n}" for s, n in zip(subnet.tolist(), number.tolist(), strict=True)]


def _prefix(subnet: int) -> str:
    return f"10.{subnet >> 8 & 255}.{subnet & 255}"
