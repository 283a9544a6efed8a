"""Metric mappings: the first match wins, exactly as in a naive reading of the file, only faster."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.metric_mappings import MetricMapping, load_metric_mappings, resolve
from omgov_assets.model_management.units import UnitTable

METRICS = {"system.cpu.utilization", "trading.order.count"}


def mappings_of(*matches: str) -> tuple[MetricMapping, ...]:
    return tuple(MetricMapping(match=match, metric=f"m{number}") for number, match in enumerate(matches))


def resolved(mappings: tuple[MetricMapping, ...], *names: str) -> dict[str, str]:
    return {name: mapping.match for name, mapping in resolve(mappings, names).items()}


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


@given(matches=st.lists(glob, max_size=8), names=st.lists(text, max_size=12))
def test_resolving_agrees_with_a_naive_reading(matches: list[str], names: list[str]) -> None:
    mappings = mappings_of(*matches)

    def naive(name: str) -> MetricMapping | None:
        for mapping in mappings:
            pattern = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in mapping.match)
            if re.fullmatch(pattern, name, re.DOTALL):
                return mapping
        return None

    expected = {name: found for name in names if (found := naive(name)) is not None}
    assert resolve(mappings, names) == expected


@pytest.mark.parametrize("shape", ["*_area{}_*_pct", "os_area{}_*", "*area{}*?"])
def test_twenty_thousand_metrics_are_resolved_by_two_hundred_globs(shape: str) -> None:
    mappings = mappings_of(*(shape.format(f"{number:03}") for number in range(200)))
    names = [f"os_area{number % 300:03}_disk_{number}_utilization_pct" for number in range(20_000)]
    found = resolve(mappings, names)
    assert len(found) == sum(number % 300 < 200 for number in range(20_000))


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
