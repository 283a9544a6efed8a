"""Routing, grouping and inhibition: by examples, against plain restatements, and against Alertmanager's own tool."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from alert_cases import DAY, alert, label_sets, matchers, parsed, route_trees, routes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.anomaly_alert.routing import destinations, group_alerts, inhibited
from omgov_assets.model_management.alert_routes import InhibitRule

AMTOOL = shutil.which("amtool")

TREE: dict[str, Any] = {
    "receiver": "office",
    "group_by": ["day"],
    "group_wait": "1m",
    "routes": [
        {"receiver": "audit", "matchers": ["severity=critical"], "continue": True},
        {
            "receiver": "engineers",
            "matchers": ["alertname=~refused_batch|blocking_check"],
            "group_by": ["system"],
            "routes": [{"receiver": "cmdb", "matchers": ["system=cmdb"], "group_wait": "0s"}],
        },
        {"receiver": "late", "matchers": ["alertname=refused_batch"]},
    ],
}


def receivers(**labels: str) -> list[str]:
    return [found.receiver for found in destinations(routes(TREE).route, labels)]


def test_the_first_child_that_matches_takes_an_alert_and_no_match_leaves_it_to_the_parent() -> None:
    assert receivers(alertname="refused_batch", system="a") == ["engineers"]
    assert receivers(alertname="refused_batch", system="cmdb") == ["cmdb"]
    assert receivers(alertname="heartbeat") == ["office"]


def test_continue_offers_an_alert_to_the_following_siblings_as_well() -> None:
    assert receivers(alertname="refused_batch", severity="critical") == ["audit", "engineers"]
    assert receivers(alertname="heartbeat", severity="critical") == ["audit"]


def test_a_route_inherits_what_it_does_not_say() -> None:
    (found,) = destinations(routes(TREE).route, {"alertname": "refused_batch", "system": "cmdb"})
    assert (found.group_by, found.group_wait) == (("system",), timedelta(0))
    assert (found.group_interval, found.repeat_interval) == (timedelta(minutes=5), timedelta(hours=4))


def test_alerts_that_share_the_labels_of_a_group_make_one_message() -> None:
    alerts = [
        alert(system="a", dataset="x"),
        alert(system="a", dataset="y"),
        alert(system="b", dataset="x"),
        alert("heartbeat", day="2026-11-20"),
    ]
    found = [
        (group.destination.receiver, group.labels, len(group.alerts))
        for group in group_alerts(routes(TREE).route, alerts)
    ]
    assert sorted(found, key=str) == [
        ("engineers", {"system": "a"}, 2),
        ("engineers", {"system": "b"}, 1),
        ("office", {"day": "2026-11-20"}, 1),
    ]


def naive_receivers(route: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Restates Alertmanager's Route.Match."""
    if not all(naive_match(text, labels) for text in route.get("matchers", ())):
        return []
    found: list[str] = []
    for child in route.get("routes", ()):
        below = naive_receivers(child, labels)
        found += below
        if below and not child.get("continue"):
            break
    return found or [route["receiver"]]


def naive_match(text: str, labels: dict[str, str]) -> bool:
    name, operator, value = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', text).groups()  # type: ignore[union-attr]
    held = re.fullmatch(value, labels.get(name, "")) is not None if "~" in operator else labels.get(name, "") == value
    return held != operator.startswith("!")


@given(route_trees(), label_sets())
def test_any_alert_goes_where_alertmanagers_rule_says(tree: dict[str, Any], labels: dict[str, str]) -> None:
    assert [found.receiver for found in destinations(parsed(tree), labels)] == naive_receivers(tree, labels)


@given(route_trees(), st.lists(label_sets(), max_size=12), st.randoms())
def test_groups_hold_every_alert_and_do_not_depend_on_the_order(
    tree: dict[str, Any], label_sets_drawn: list[dict[str, str]], random: Any
) -> None:
    alerts = [alert(**labels) for labels in label_sets_drawn]
    groups = group_alerts(parsed(tree), alerts)
    shuffled = list(alerts)
    random.shuffle(shuffled)
    assert group_alerts(parsed(tree), shuffled) == groups
    assert {each.fingerprint for group in groups for each in group.alerts} == {each.fingerprint for each in alerts}
    assert len({group.key for group in groups}) == len(groups)
    for group in groups:
        assert all(group.destination.group_labels(each.labels) == group.labels for each in group.alerts)


def rules() -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(matchers(), min_size=1, max_size=2)
    equal = st.lists(st.sampled_from(["system", "dataset", "day"]), unique=True, max_size=2)
    return st.fixed_dictionaries({"source_matchers": some, "target_matchers": some, "equal": equal})


@given(st.lists(label_sets(), max_size=8), st.lists(rules(), max_size=3))
def test_inhibition_agrees_with_looking_at_all_pairs(
    drawn: list[dict[str, str]], documents: list[dict[str, Any]]
) -> None:
    alerts = [alert(**labels) for labels in drawn]

    def fits(texts: list[str], each: Alert) -> bool:
        return all(naive_match(text, each.labels) for text in texts)

    expected = {
        target.fingerprint
        for rule in documents
        for target in alerts
        for source in alerts
        if fits(rule["target_matchers"], target)
        and fits(rule["source_matchers"], source)
        and all(target.labels.get(name, "") == source.labels.get(name, "") for name in rule["equal"])
        and source.fingerprint != target.fingerprint
        and not (fits(rule["source_matchers"], target) and fits(rule["target_matchers"], source))
    }
    assert set(inhibited(alerts, alerts, [InhibitRule.model_validate(rule) for rule in documents])) == expected


def test_a_cause_keeps_its_symptoms_quiet_and_nothing_else() -> None:
    rule = InhibitRule.model_validate(
        {
            "source_matchers": ["alertname=refused_batch"],
            "target_matchers": ["alertname=blocking_check"],
            "equal": ["system", "dataset"],
        }
    )
    cause = alert(system="a", dataset="x")
    symptom = alert("blocking_check", system="a", dataset="x", check="accuracy")
    other = alert("blocking_check", system="a", dataset="y", check="accuracy")
    assert inhibited([cause, symptom, other], [cause], [rule]) == {symptom.fingerprint: cause.fingerprint}
    assert inhibited([symptom], [cause.resolved(DAY)], [rule]) == {}
    past = alert(system="a", dataset="x", momentary=True, starts_at=DAY - timedelta(days=1))
    assert inhibited([symptom], [past], [rule]) == {}


@pytest.mark.skipif(AMTOOL is None, reason="amtool is not installed (Debian: prometheus-alertmanager)")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(route_trees(), label_sets())
def test_alertmanagers_own_tool_routes_alike(tmp_path: Path, tree: dict[str, Any], labels: dict[str, str]) -> None:
    document = {"route": tree, "receivers": [{"name": name} for name in sorted(named(tree))]}
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    test = ["config", "routes", "test", f"--config.file={path}", *(f"{name}={value}" for name, value in labels.items())]
    done = subprocess.run([str(AMTOOL), *test], capture_output=True, text=True, check=True, timeout=60)
    assert [found.receiver for found in destinations(parsed(tree), labels)] == done.stdout.strip().split(",")


def named(tree: dict[str, Any]) -> set[str]:
    return {tree["receiver"]}.union(*(named(child) for child in tree.get("routes", ())))
