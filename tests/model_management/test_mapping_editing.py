"""Appending rules: what people wrote stays to the letter, and a file is never left half written or wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.mapping_editing import DeadRuleError, append_rules
from omgov_assets.model_management.metric_mappings import load_metric_mappings, resolve

METRICS = {"system.cpu.utilization", "system.memory.utilization"}
CPU, MEMORY = sorted(METRICS)


def appended(path: Path, text: str, **rules: str) -> str:
    path.write_bytes(text.encode())
    append_rules(path, rules, METRICS)
    return path.read_bytes().decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metric_mappings.yaml"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "# Ours.\nmappings:\n  # Processors.\n  - {match: 'a',  metric: system.cpu.utilization}  # why\n",
            "# Ours.\nmappings:\n  # Processors.\n  - {match: 'a',  metric: system.cpu.utilization}  # why\n"
            '  - {match: "new", metric: system.memory.utilization}\n',
        ),
        (
            "mappings:\n- match: a\n  metric: system.cpu.utilization\n\n# The end.\n",
            "mappings:\n- match: a\n  metric: system.cpu.utilization\n"
            '- {match: "new", metric: system.memory.utilization}\n\n# The end.\n',
        ),
        (
            "mappings:\n    - regex: a\n      metric: system.cpu.utilization\n      attributes:\n        host: x",
            "mappings:\n    - regex: a\n      metric: system.cpu.utilization\n      attributes:\n        host: x\n"
            '    - {match: "new", metric: system.memory.utilization}\n',
        ),
        ("mappings: []\n", 'mappings:\n  - {match: "new", metric: system.memory.utilization}\n'),
        (
            "mappings: []  # none yet\n",
            'mappings:\n  - {match: "new", metric: system.memory.utilization}  # none yet\n',
        ),
        (
            "mappings: [{match: a, metric: system.cpu.utilization}]\n",
            "mappings: [{match: a, metric: system.cpu.utilization}, "
            '{match: "new", metric: system.memory.utilization}]\n',
        ),
        (
            "mappings:\r\n  - {match: a, metric: system.cpu.utilization}\r\n",
            "mappings:\r\n  - {match: a, metric: system.cpu.utilization}\r\n"
            '  - {match: "new", metric: system.memory.utilization}\r\n',
        ),
    ],
)
def test_a_rule_is_appended_and_nothing_else_changes(path: Path, before: str, after: str) -> None:
    assert appended(path, before, new=MEMORY) == after


def test_a_missing_file_is_begun(path: Path) -> None:
    append_rules(path, {"a": CPU, "b": MEMORY}, METRICS)
    assert [(rule.match, rule.metric) for rule in load_metric_mappings(path, METRICS)] == [("a", CPU), ("b", MEMORY)]
    assert path.read_text().startswith("# First match wins")


def test_nothing_to_append_touches_nothing(path: Path) -> None:
    append_rules(path, {}, METRICS)
    assert not path.exists()


@given(names=st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), unique=True, max_size=4))
def test_a_rule_takes_its_metric_whatever_the_name(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("rules") / "metric_mappings.yaml"
    append_rules(path, dict.fromkeys(names, CPU), METRICS)
    rules = load_metric_mappings(path, METRICS) if names else ()
    found = resolve(rules, [*names, *(name + "x" for name in names)])
    assert set(names) <= set(found.mapped)
    assert set(found.mapped) - set(names) <= {name + "x" for name in names} & set(names)


def test_a_name_with_wildcards_is_written_so_that_it_takes_itself_alone(path: Path) -> None:
    append_rules(path, {"net[*].io?": CPU}, METRICS)
    (rule,) = load_metric_mappings(path, METRICS)
    assert rule.regex == r"net\[\*\]\.io\?"
    assert set(resolve([rule], ["net[*].io?", "net[a].iox"]).mapped) == {"net[*].io?"}


def test_a_rule_behind_one_that_takes_its_metric_is_refused(path: Path) -> None:
    before = f"mappings:\n  - {{match: 'os_*', metric: {CPU}}}\n"
    path.write_text(before)
    with pytest.raises(DeadRuleError, match=r"rule 1, 'os_\*' → system.cpu.utilization, takes 'os_mem' already"):
        append_rules(path, {"os_mem": MEMORY}, METRICS)
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("before", "metric"),
    [
        ("mappings:\n  - {match: a, metric: system.cpu.utilization}\n", "no.such.metric"),
        ("mappings:\n  - {match: a, metric: no.such.metric}\n", MEMORY),
        ("mappings: [{match: a, metric: system.cpu.utilization}, ]\n", MEMORY),
        ("mappings:\n", MEMORY),
        ("mappings: [\n", MEMORY),
    ],
)
def test_what_would_not_be_valid_is_not_written(path: Path, before: str, metric: str) -> None:
    path.write_text(before)
    with pytest.raises(GovernanceError) as caught:
        append_rules(path, {"new": metric}, METRICS)
    assert caught.value.path == path
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_file_keeps_its_permissions(path: Path) -> None:
    path.write_text("mappings: []\n")
    path.chmod(0o640)
    append_rules(path, {"a": CPU}, METRICS)
    assert path.stat().st_mode & 0o777 == 0o640
