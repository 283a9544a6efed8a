"""Metric mappings: the first match wins as in a naive reading of the file, only faster, and never by accident."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import load_governance
from omgov_assets.model_management.mapping_examination import examine
from omgov_assets.model_management.metric_mappings import MetricMapping, is_special_case, load_metric_mappings, resolve
from omgov_assets.model_management.units import UnitTable

METRICS = {"system.cpu.utilization", "trading.order.count"}


def mappings_of(*matches: str) -> tuple[MetricMapping, ...]:
    return tuple(MetricMapping(match=match, metric="m", overrides=True) for match in matches)


def rules(*items: dict[str, Any]) -> tuple[MetricMapping, ...]:
    return tuple(MetricMapping(**item) for item in items)


def resolved(mappings: tuple[MetricMapping, ...], *names: str) -> dict[str, str]:
    return {name: found.mapping.pattern for name, found in resolve(mappings, names).mapped.items()}


def test_the_first_match_wins_whether_exact_or_glob() -> None:
    mappings = mappings_of("os_cpu_user", "os_cpu_*", "os_cpu_idle", "*")
    assert resolved(mappings, "os_cpu_user", "os_cpu_idle", "os_cpu_", "disk") == {
        "os_cpu_user": "os_cpu_user",
        "os_cpu_idle": "os_cpu_*",
        "os_cpu_": "os_cpu_*",
        "disk": "*",
    }


def test_a_metric_without_a_match_is_left_out() -> None:
    assert resolved(mappings_of("a", "b?"), "c", "b", "ab", "") == {}


def test_case_counts_and_only_star_and_question_mark_are_special() -> None:
    mappings = mappings_of("cpu[0]*", "a.b", "cpu?load")
    assert resolved(mappings, "CPU[0]", "cpu0", "cpu[0].x", "axb", "a.b", "cpu.load", "cpu..load") == {
        "cpu[0].x": "cpu[0]*",
        "a.b": "a.b",
        "cpu.load": "cpu?load",
    }


text = st.text(alphabet="ab.", max_size=6)
glob = st.text(alphabet="ab.*?", min_size=1, max_size=6)


def naive(mappings: tuple[MetricMapping, ...], name: str) -> list[MetricMapping]:
    """The rules that take a name, read one by one."""
    found = []
    for mapping in mappings:
        pattern = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in mapping.pattern)
        if re.fullmatch(pattern if mapping.match else mapping.pattern, name, re.DOTALL):
            found.append(mapping)
    return found


@given(
    items=st.lists(st.tuples(glob, st.sampled_from(["x", "y"]), st.booleans()), max_size=8),
    names=st.lists(text, max_size=12),
)
def test_resolving_agrees_with_a_naive_reading(items: list[tuple[str, str, bool]], names: list[str]) -> None:
    mappings = tuple(
        MetricMapping(match=match, metric=metric, overrides=overrides) for match, metric, overrides in items
    )
    found = resolve(mappings, names)
    for name in names:
        taking = naive(mappings, name)
        doubt = next(
            (
                other
                for other in taking[1:]
                if not taking[0].is_exact
                and not other.is_exact
                and other.metric != taking[0].metric
                and not taking[0].overrides
                and not is_special_case(taking[0], other)
            ),
            None,
        )
        mapped, ambiguous = found.mapped.get(name), found.ambiguous.get(name)
        assert (mapped.mapping if mapped else None) == (taking[0] if taking and doubt is None else None)
        assert (ambiguous.second.mapping if ambiguous else None) == doubt
    assert not found.refused


@pytest.mark.parametrize("shape", ["*_area{}_*_pct", "os_area{}_*", "*area{}*?"])
def test_twenty_thousand_metrics_are_resolved_by_two_hundred_globs(shape: str) -> None:
    mappings = mappings_of(*(shape.format(f"{number:03}") for number in range(200)))
    names = [f"os_area{number % 300:03}_disk_{number}_utilization_pct" for number in range(20_000)]
    assert len(resolve(mappings, names).mapped) == sum(number % 300 < 200 for number in range(20_000))


def test_a_glob_full_of_stars_does_not_hang() -> None:
    # A backtracking matcher would not come back from this one.
    assert resolved(mappings_of("*a" * 30 + "b"), "a" * 5000) == {}


def test_mappings_load_in_file_order(tmp_path: Path) -> None:
    path = tmp_path / "metric_mappings.yaml"
    path.write_text(
        'mappings:\n  - {match: "ST0001", metric: trading.order.count, unit: "{order}"}\n'
        '  - {match: "os_cpu_*_pct", metric: system.cpu.utilization}\n',
        encoding="utf-8",
    )
    assert load_metric_mappings(path, METRICS) == (
        MetricMapping(match="ST0001", metric="trading.order.count", unit="{order}"),
        MetricMapping(match="os_cpu_*_pct", metric="system.cpu.utilization"),
    )


@pytest.mark.parametrize(
    ("items", "key", "problem"),
    [
        ([{"match": "a", "metric": "no.such.metric"}], "mappings[0].metric", "not a standard metric"),
        ([{"match": "", "metric": "trading.order.count"}], "mappings[0].match", "at least 1"),
        ([{"match": 1, "metric": "trading.order.count"}], "mappings[0].match", "string"),
        ([{"match": "a"}], "mappings[0].metric", "required"),
        (
            [{"match": "a", "metric": "trading.order.count", "units": "1"}],
            "mappings[0].units",
            "not permitted",
        ),
        ([{"match": "a", "metric": "trading.order.count"}] * 2, "mappings[1].match", "already"),
        (
            [{"match": "a", "metric": "trading.order.count", "unit": "bananas"}],
            "mappings[0].unit",
            "not a known unit",
        ),
    ],
)
def test_a_mistake_names_file_key_and_remedy(
    tmp_path: Path, items: list[dict[str, object]], key: str, problem: str
) -> None:
    path = tmp_path / "metric_mappings.yaml"
    path.write_text(yaml.safe_dump({"mappings": items}), encoding="utf-8")
    with pytest.raises(GovernanceError) as caught:
        load_metric_mappings(path, METRICS, UnitTable({}))
    assert (caught.value.path, caught.value.key) == (path, key)
    assert problem in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize("document", [[], {"mappings": {}}, {"mappings": [], "notes": "x"}])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, document: object) -> None:
    path = tmp_path / "metric_mappings.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(GovernanceError):
        load_metric_mappings(path, METRICS)


def test_a_regex_fills_its_groups_into_metric_and_attributes() -> None:
    mappings = rules(
        {
            "regex": r"net_(?P<iface>[a-z0-9]+)_(?P<what>io|errors)",
            "metric": "system.network.{what}",
            "attributes": {"network.interface": "{iface}", "direction": "receive"},
            "unit": "By/s",
        }
    )
    found = resolve(mappings, ["net_eth0_io", "net_eth0_io_x", "xnet_eth0_io"], {"system.network.io"}).mapped
    assert list(found) == ["net_eth0_io"]
    assert (found["net_eth0_io"].metric, found["net_eth0_io"].unit) == ("system.network.io", "By/s")
    assert found["net_eth0_io"].attributes == {"network.interface": "eth0", "direction": "receive"}


def test_what_a_regex_does_not_lead_to_the_standard_is_refused_and_falls_to_no_later_rule() -> None:
    mappings = rules({"regex": r"(?P<m>[a-z.]+)_(?P<x>q?)", "metric": "{m}"}, {"match": "*", "metric": "other"})
    found = resolve(mappings, ["cpu.load_", "no.such_"], {"cpu.load"})
    assert found.mapped["cpu.load_"].metric == "cpu.load"
    assert found.get("no.such_") is None
    assert "no.such, which is not a standard metric" in found.refused["no.such_"].reason


def test_a_placeholder_that_took_nothing_is_refused() -> None:
    mappings = rules({"regex": "cpu(?P<n>[0-9]*)", "metric": "m", "attributes": {"cpu": "{n}"}})
    found = resolve(mappings, ["cpu", "cpu7"])
    assert found.refused["cpu"].reason == "{n} is empty for this name"
    assert found.mapped["cpu7"].attributes == {"cpu": "7"}


@pytest.mark.parametrize(
    ("first", "second", "ambiguous"),
    [
        ({"match": "a*"}, {"match": "*b"}, True),
        ({"match": "a*", "overrides": True}, {"match": "*b"}, False),
        ({"match": "a*b"}, {"match": "*b"}, False),  # a special case
        ({"match": "*b"}, {"match": "a*b"}, True),  # the special case comes too late
        ({"match": "axb"}, {"match": "*b"}, False),  # an exact rule is never in doubt
        ({"match": "a*"}, {"match": "axb"}, False),  # first match wins; the second is dead
        ({"regex": "a.*"}, {"match": "*b"}, True),
        ({"regex": "a.*"}, {"match": "*"}, False),
        ({"match": "a*"}, {"regex": ".*b"}, True),
        ({"match": "a*", "metric": "y"}, {"match": "*b"}, False),  # the same result
        ({"match": "a*", "metric": "y"}, {"match": "*b", "unit": "s"}, True),
        ({"match": "a*", "metric": "y"}, {"match": "*b", "attributes": {"host": "h"}}, True),
    ],
)
def test_two_patterns_that_contradict_each_other_leave_the_name_out(
    first: dict[str, Any], second: dict[str, Any], ambiguous: bool
) -> None:
    found = resolve(rules({"metric": "x"} | first, {"metric": "y"} | second), ["axb"])
    assert ("axb" in found.ambiguous) is ambiguous
    assert ("axb" in found.mapped) is not ambiguous


def test_a_rule_that_leads_nowhere_contradicts_no_other() -> None:
    mappings = rules({"match": "os_*", "metric": "x"}, {"regex": "(?P<all>.+)", "metric": "{all}"})
    found = resolve(mappings, ["os_cpu", "y"], {"x", "y"})
    assert {name: one.metric for name, one in found.mapped.items()} == {"os_cpu": "x", "y": "y"}


def test_the_examination_tells_overlaps_dead_rules_and_what_is_unmapped() -> None:
    mappings = rules(
        {"match": "os_*", "metric": "x"},
        {"match": "os_cpu", "metric": "y"},
        {"match": "os_disk_*", "metric": "y"},
        {"match": "*_pct", "metric": "y"},
        {"match": "db_*", "metric": "y"},
        {"match": "net?", "metric": "y"},
        {"regex": "(net1|net2)", "metric": "y"},
    )
    found = examine(mappings, ["os_cpu", "os_cpu_pct", "os_mem_pct", "net1", "nothing"], {"x", "y"})
    assert [(one.first, one.second, one.names, one.example, one.verdict) for one in found.overlaps] == [
        (1, 2, 1, "os_cpu", "shadowed"),
        (1, 4, 2, "os_cpu_pct", "ambiguous"),
        (6, 7, 1, "net1", "same_result"),
    ]
    assert [(one.position, one.kind, one.by) for one in found.dead] == [
        (2, "shadowed", (1,)),
        (3, "shadowed", (1,)),
        (4, "shadowed", (1,)),
        (5, "unused", ()),
        (7, "shadowed", (6,)),
    ]
    assert set(found.ambiguous) == {"os_cpu_pct", "os_mem_pct"}
    assert found.unmapped == ("nothing",)


def test_rules_are_dead_by_themselves_before_any_metric_is_known() -> None:
    found = examine(rules({"match": "a?*", "metric": "x"}, {"match": "ab?", "metric": "y"}), [])
    assert [(one.position, one.kind) for one in found.dead] == [(2, "shadowed")]


@pytest.mark.parametrize("project", [".", "examples/wikimedia"])
def test_no_mapping_of_the_firms_is_ambiguous_or_dead(project_root: Path, project: str) -> None:
    governance = load_governance(project_root / project)
    for system in governance.systems.values():
        # The shortest names that the rules match stand for those that the system delivers.
        names = [(mapping.match or "").replace("*", "x") for mapping in system.mappings]
        found = examine(system.mappings, names, {metric.metric for metric in governance.metrics})
        assert not found.ambiguous
        assert not found.dead
        assert not found.unmapped


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({"metric": "trading.order.count"}, "either `match`"),
        ({"match": "a", "regex": "a", "metric": "trading.order.count"}, "not both"),
        ({"regex": "(", "metric": "trading.order.count"}, "is not RE2: missing"),
        ({"regex": "(?=a)", "metric": "trading.order.count"}, "is not RE2"),
        ({"regex": "(?P<m>a)(?P<m>b)", "metric": "{m}"}, "same name"),
        ({"regex": "a", "metric": "{m}"}, "{m} is not a named group"),
        ({"match": "a*", "metric": "trading.order.count", "attributes": {"x": "{m}"}}, "{m} is not a named group"),
        ({"match": "a*", "metric": "trading.order.count", "attributes": {"Upper Case": "x"}}, "pattern"),
        ({"match": "a*", "metric": "trading.order.count", "attributes": {"x": ""}}, "at least 1"),
        ({"regex": "a", "metric": "trading.{count}x"}, "{count} is not a named group"),
        ({"match": "a", "metric": "trading.order.count", "overrides": "yes"}, "boolean"),
    ],
)
def test_a_mistaken_rule_names_its_place_and_problem(tmp_path: Path, item: dict[str, object], problem: str) -> None:
    path = tmp_path / "metric_mappings.yaml"
    path.write_text(yaml.safe_dump({"mappings": [item]}), encoding="utf-8")
    with pytest.raises(GovernanceError) as caught:
        load_metric_mappings(path, METRICS, UnitTable({}))
    assert caught.value.key.startswith("mappings[0]")
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_a_regex_twice_is_refused_and_the_same_text_as_a_match_is_not(tmp_path: Path) -> None:
    path = tmp_path / "metric_mappings.yaml"
    item = {"regex": "a.b", "metric": "trading.order.count"}
    path.write_text(yaml.safe_dump({"mappings": [item, {**item, "unit": "1"}]}), encoding="utf-8")
    with pytest.raises(GovernanceError, match=r"mappings\[1\]\.regex"):
        load_metric_mappings(path, METRICS)
    path.write_text(yaml.safe_dump({"mappings": [item, {"match": "a.b", "metric": "trading.order.count"}]}))
    assert len(load_metric_mappings(path, METRICS)) == 2
