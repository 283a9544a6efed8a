"""The causes that anomalies have in common: what the truth says of them against a recount, and what makes them a test.

Belongs here: causes of the sample firm. Does not belong here: the anomalies themselves (``test_sample_firm``).
"""

from __future__ import annotations

import ipaddress
import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
import pytest
from recount import Cause, recount_causes

from omgov_assets.sample_firm.cells import ATTRIBUTES
from omgov_assets.sample_firm.generate import generate_firm
from omgov_assets.sample_firm.racks import AGENT_VERSIONS

DAY = date(2026, 11, 20)
NEXT_DAY = date(2026, 11, 21)
FRESH_SEED = random.SystemRandom().randrange(1_000_000)


def firm(out: Path, *, seed: int = 7, days: int = 1, instances: int = 20_000, first_day: date = DAY) -> Path:
    generate_firm(out, definitions=2_000, instances=instances, days=days, first_day=first_day, seed=seed)
    return out


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of a firm that is large enough for causes of every size."""
    return firm(tmp_path_factory.mktemp("firm"), instances=100_000, days=2)


def query(sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return con.execute(sql).fetchall()


def causes_of(home: Path, day: date, kind: str) -> dict[str, tuple[dict[str, str], str | None, Cause]]:
    """Conditions, anomaly type and figures of the causes of a kind."""
    rows = query(
        f"""SELECT cause_id, conditions, anomaly_type, instances, support, rate, lift, anomalies
        FROM '{home}/truth/causes/{day}.parquet' WHERE kind = '{kind}'"""
    )
    return {name: (json.loads(text), of_type, Cause(*figures, 0)) for name, text, of_type, *figures in rows}


def planted(home: Path, day: date) -> dict[str, tuple[dict[str, str], str | None, Cause]]:
    return causes_of(home, day, "planted")


@pytest.mark.parametrize(
    ("seed", "instances"),
    [
        pytest.param(7, 20_000, id="known"),
        pytest.param(4711, 30_000, id="another"),
        pytest.param(FRESH_SEED, 20_000, id="fresh"),
    ],
)
def test_support_rate_and_lift_are_what_a_recount_of_the_deliveries_finds(
    tmp_path: Path, project_root: Path, seed: int, instances: int
) -> None:
    firm(tmp_path, seed=seed, instances=instances, days=2)
    for day in (DAY, NEXT_DAY):
        told = {**planted(tmp_path, day), **causes_of(tmp_path, day, "structural")}
        found = recount_causes(tmp_path, project_root, day)
        assert len(told) > 30
        assert found.keys() == told.keys()
        for name, (_, _, figures) in told.items():
            assert found[name] == pytest.approx(figures), name


@pytest.mark.parametrize("seed", [7, 4711, 20_261, pytest.param(FRESH_SEED, id="fresh")])
@pytest.mark.parametrize("instances", [10_000, 20_000])
def test_every_firm_has_a_dozen_planted_causes_from_obvious_to_faint(tmp_path: Path, seed: int, instances: int) -> None:
    found = planted(firm(tmp_path, seed=seed, instances=instances), DAY)
    assert 11 <= len(found) <= 16
    lifts = [figures.lift or 0 for _, _, figures in found.values()]
    assert all(2 <= lift <= 50 for lift in lifts)
    assert min(lifts) < 4
    assert max(lifts) > 25
    supports = [figures.support for _, _, figures in found.values()]
    assert all(0.0005 <= support <= 0.2 for support in supports)
    assert min(supports) < 0.005
    assert max(supports) > 0.07
    assert all(figures.anomalies >= 3 for _, _, figures in found.values())
    assert {len(conditions) for conditions, _, _ in found.values()} >= {1, 2}
    assert _nested(found)
    assert _overlapping(tmp_path, found)


def test_a_firm_of_a_hundred_thousand_has_all_causes(home: Path) -> None:
    found = {**planted(home, DAY), **planted(home, NEXT_DAY)}
    assert len(found) == 16
    used = {attribute for conditions, _, _ in found.values() for attribute in conditions}
    assert used == set(ATTRIBUTES) - {"host", "network_device"}
    assert {len(conditions) for conditions, _, _ in found.values()} == {1, 2, 3}
    assert min(figures.support for _, _, figures in found.values()) < 0.001


def test_the_causes_of_another_seed_are_others(home: Path, tmp_path: Path) -> None:
    other = planted(firm(tmp_path, seed=8, instances=100_000, days=2), DAY)
    cells = [
        {tuple(conditions.items()) for conditions, _, _ in found.values()} for found in (planted(home, DAY), other)
    ]
    assert len(cells[0] & cells[1]) < 4


@pytest.mark.parametrize("offset", range(5))
def test_whichever_day_comes_first_a_cause_begins_on_the_next(tmp_path: Path, offset: int) -> None:
    first = DAY + timedelta(days=offset)
    firm(tmp_path, first_day=first, days=2, instances=10_000)
    before, after = (planted(tmp_path, day).keys() for day in (first, first + timedelta(days=1)))
    assert after - before
    assert len(before & after) > len(before) - 2


def test_conditions_name_known_attributes_in_canonical_form(home: Path) -> None:
    for (text,) in query(f"SELECT conditions FROM '{home}/truth/causes/{DAY}.parquet'"):
        conditions = json.loads(text)
        assert 1 <= len(conditions) <= 3
        assert conditions.keys() <= set(ATTRIBUTES)
        assert text == json.dumps(conditions, sort_keys=True, separators=(",", ":"))


def test_anomalies_name_only_causes_that_are_listed_and_have_their_type(home: Path) -> None:
    rows = query(
        f"""SELECT cause_id, c.anomaly_type, list(DISTINCT t.anomaly_type), count(*)
        FROM '{home}/truth/{DAY}.parquet' AS t LEFT JOIN '{home}/truth/causes/{DAY}.parquet' AS c USING (cause_id)
        WHERE cause_id IS NOT NULL GROUP BY ALL"""
    )
    listed = {**planted(home, DAY), **causes_of(home, DAY, "structural")}
    assert {cause_id for cause_id, *_ in rows} == listed.keys()
    for cause_id, anomaly_type, types, count in rows:
        assert count == listed[cause_id][2].anomalies
        assert types == [anomaly_type] if anomaly_type else len(types) > 1


def test_defects_of_more_than_single_series_have_structural_causes(home: Path) -> None:
    rows = query(
        f"SELECT DISTINCT defect, conditions FROM '{home}/truth/causes/{DAY}.parquet' WHERE kind = 'structural'"
    )
    attributes = {defect: set(json.loads(conditions)) for defect, conditions in rows}
    assert attributes["dead_collector"] == attributes["lossy_link"] == {"collector"}
    assert attributes["retired_rack_still_reporting"] == {"rack"}
    assert attributes["group_without_owners"] == {"support_group"}
    assert attributes["departed_owner"] == {"owner"}
    assert attributes["team_reports_nanoseconds"] == {"application"}
    assert attributes["two_systems_disagree"] == {"host"}
    assert attributes["definition_not_delivered"] == {"system", "metric"}
    assert attributes["deprecated_metric_still_collected"] == {"metric"}


def test_single_defects_outside_the_cells_have_no_cause(home: Path) -> None:
    single = "('stuck_sensor', 'broken_aggregation', 'registered_but_silent', 'parser_drops_attribute')"
    rows = query(
        f"""SELECT count(*) FILTER (cause_id IS NULL), count(*) FILTER (starts_with(cause_id, 'planted-')), count(*)
        FROM '{home}/truth/{DAY}.parquet' WHERE defect IN {single}"""
    )
    ((without, with_planted, total),) = rows
    assert without + with_planted == total
    assert 0.5 * total < without < total


def test_planted_causes_add_little_to_the_anomalies(home: Path) -> None:
    ((of_causes, total),) = query(
        f"SELECT count(*) FILTER (starts_with(cause_id, 'planted-')), count(*) FROM '{home}/truth/{DAY}.parquet'"
    )
    assert 0.03 < of_causes / (total - of_causes) < 0.15


def test_a_rack_is_in_one_subnet_and_several_racks_share_one(home: Path) -> None:
    rows = query(
        f"""SELECT rack, subnet, site_id, ip_address FROM '{home}/landing/cmdb/configuration_items/{DAY}/*.csv'
        WHERE rack IS NOT NULL"""
    )
    subnet_of = {rack: subnet for rack, subnet, _, _ in rows}
    site_of = {subnet: site for _, subnet, site, _ in rows if site}
    for rack, subnet, site, address in rows:
        assert subnet_of[rack] == subnet
        assert site in (None, site_of[subnet])
        assert ipaddress.ip_address(address) in ipaddress.ip_network(subnet)
    assert len(set(subnet_of.values())) < 0.6 * len(subnet_of)


def test_agent_versions_are_few_and_unlike_in_number_and_sites_have_none(home: Path) -> None:
    rows = query(
        f"""SELECT agent_version, count(*) FROM '{home}/landing/cmdb/configuration_items/{DAY}/*.csv'
        WHERE ci_class <> 'site' AND status = 'in_use' GROUP BY ALL"""
    )
    counts = dict(rows)
    assert counts.keys() == AGENT_VERSIONS.keys()
    assert 6 <= len(counts) <= 10
    assert max(counts.values()) > 10 * min(counts.values())
    (sites,) = query(
        f"""SELECT count(*), count(agent_version), count(subnet)
        FROM '{home}/landing/cmdb/configuration_items/{DAY}/*.csv' WHERE ci_class = 'site'"""
    )
    assert sites[0] > 0
    assert sites[1:] == (0, 0)


def _nested(found: dict[str, tuple[dict[str, str], str | None, Cause]]) -> list[tuple[str, str]]:
    """Pairs of causes of one anomaly type, the second within the first, at more than one and a half times its rate."""
    return [
        (outer, inner)
        for (outer, (wide, of_type, around)), (inner, (narrow, same, within)) in _ordered_pairs(found)
        if of_type == same and wide.items() < narrow.items() and within.rate > 1.5 * around.rate
    ]


def _ordered_pairs(found: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    for a, b in combinations(found.items(), 2):
        yield a, b
        yield b, a


def _overlapping(home: Path, found: dict[str, tuple[dict[str, str], str | None, Cause]]) -> list[tuple[str, str]]:
    """Pairs of causes of a site, a support group or an agent version that have CIs in common and of their own."""
    columns = {"site": "site_id", "support_group": "support_group_id", "agent_version": "agent_version"}
    single = {name: next(iter(cell.items())) for name, (cell, _, _) in found.items() if len(cell) == 1}
    cis = {
        name: {
            ci
            for (ci,) in query(
                f"""SELECT ci_id FROM '{home}/landing/cmdb/configuration_items/{DAY}/*.csv'
                WHERE {columns[attribute]} = '{value}'"""
            )
        }
        for name, (attribute, value) in single.items()
        if attribute in columns
    }
    return [(a, b) for a, b in combinations(cis, 2) if cis[a] & cis[b] and cis[a] - cis[b] and cis[b] - cis[a]]
