"""Alert routes: what the firm's file says, and what is wrong with faulty ones."""

from __future__ import annotations

from datetime import time, timedelta
from pathlib import Path

import pytest

from omgov_assets.model_management.alert_routes import (
    AlertRoutes,
    Delivery,
    Matcher,
    Receiver,
    Route,
    load_alert_routes,
)
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import load_governance

ROUTE = "route: {receiver: office}\n"
RECEIVERS = "receivers: [{name: office, apprise_url_env: [OFFICE_URL]}]\n"


def project(tmp_path: Path, text: str) -> Path:
    (tmp_path / "governance").mkdir()
    (tmp_path / "governance" / "alert_routes.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_firm_without_the_document_tells_nobody(tmp_path: Path) -> None:
    routes = load_alert_routes(tmp_path)
    assert routes == AlertRoutes()
    assert [receiver.sinks for receiver in routes.receivers] == [()]


def test_the_firms_own_document_is_part_of_its_control_information(project_root: Path) -> None:
    routes = load_governance(project_root).alerts
    assert routes.receiver_of["owners"].sinks == ("apprise:OMGOV_ALERT_OWNERS",)
    assert routes.night_deadline == time(7)
    assert routes.digests.most_messages_share == 0.01
    assert [rule.equal for rule in routes.inhibit_rules] == [
        ("system", "dataset", "day"),
        ("case_id", "recipient"),
        ("day",),
    ]


def test_a_route_says_only_what_differs_from_its_parent(tmp_path: Path) -> None:
    text = "route: {receiver: office, group_wait: 1h30m, routes: [{matchers: [system=cmdb], continue: true}]}\n"
    root = load_alert_routes(project(tmp_path, text + RECEIVERS)).route
    assert root.group_wait == timedelta(hours=1, minutes=30)
    (child,) = root.routes
    assert (child.receiver, child.group_wait, child.continue_) == (None, None, True)


@pytest.mark.parametrize(
    ("written", "value", "holds"),
    [
        ('system="cmdb"', "cmdb", True),
        ("system=cmdb", "cmdb_2", False),
        ('system!="cmdb"', "", True),
        ('system=""', "", True),
        ('system=~"a|b"', "b", True),
        ('system=~"a|b"', "ab", False),  # matches as a whole
        ('system!~"a.*"', "bab", True),
        ('system = "say \\"no\\""', 'say "no"', True),
    ],
)
def test_a_matcher_is_read_as_alertmanager_reads_it(written: str, value: str, holds: bool) -> None:
    matcher = Matcher.model_validate(written)
    assert matcher.matches(value) is holds
    assert Matcher.model_validate(str(matcher)) == matcher


def test_waits_double_up_to_the_longest() -> None:
    delivery = Delivery(first_retry=timedelta(minutes=1), longest_retry=timedelta(minutes=5))
    waits = [delivery.wait(attempts).total_seconds() / 60 for attempts in (0, 1, 2, 3, 4, 100)]
    assert waits == [0, 1, 2, 4, 5, 5]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- 1", "alert_routes.yaml"),
        ("route: {}\n" + RECEIVERS, "route.receiver: the root of the tree needs a receiver"),
        ("route: {receiver: nobody}\n" + RECEIVERS, "no receiver is called 'nobody'; there are office"),
        (
            "route: {receiver: office, routes: [{routes: [{receiver: gone}]}]}\n" + RECEIVERS,
            "route.routes[0].routes[0].receiver: no receiver is called 'gone'",
        ),
        ("route: {receiver: office, matchers: [system=cmdb]}\n" + RECEIVERS, "route: the root takes every alert"),
        ("route: {receiver: office, continue: true}\n" + RECEIVERS, "route: the root takes every alert"),
        ("route: {receiver: office, group_wait: 30}\n" + RECEIVERS, "30 is no duration"),
        ("route: {receiver: office, group_wait: soon}\n" + RECEIVERS, "'soon' is no duration"),
        ("route: {receiver: office, group_wait: -5m}\n" + RECEIVERS, "'-5m' is no duration"),
        (f"route: {{receiver: office, group_wait: {'9' * 30}w}}\n" + RECEIVERS, "is longer than any duration"),
        ("route: {receiver: office, group_wait: 900d}\n" + RECEIVERS, "route.group_wait"),
        ("route: {receiver: office, repeat_interval: 0s}\n" + RECEIVERS, "repeat_interval must be at least 1m"),
        ("route: {receiver: office, group_by: [host]}\n" + RECEIVERS, "'host' is no label of alerts"),
        ("route: {receiver: office, group_by: [day, day]}\n" + RECEIVERS, "name each label once"),
        ("route: {receiver: office, group_by: [day, '...']}\n" + RECEIVERS, "it stands alone"),
        ("route: {receiver: office, routes: [{matchers: ['system']}]}\n" + RECEIVERS, "'system' is no matcher"),
        ("route: {receiver: office, routes: [{matchers: ['host=a']}]}\n" + RECEIVERS, "'host' is no label"),
        ("route: {receiver: office, routes: [{matchers: ['day=~\"(\"']}]}\n" + RECEIVERS, "no regular expression"),
        ("route: {receiver: office, continues: true}\n" + RECEIVERS, "route.continues"),
        ("route: {receiver: office, continue_: true}\n" + RECEIVERS, "route.continue_"),
        (ROUTE + "receivers: [{name: office}, {name: office}]\n", "receivers[1].name: 'office' stands twice"),
        (ROUTE + "receivers: [{name: ''}]\n", "receivers[0].name"),
        (ROUTE + "receivers: [{name: office, alertmanager_urls: ['alertmanager:9093']}]\n", "entry 0 is no plain URL"),
        (ROUTE + "receivers: [{name: office, alertmanager_urls: ['http://h:99999']}]\n", "entry 0 is no plain URL"),
        (ROUTE + RECEIVERS + "inhibit_rules: [{source_matchers: [], target_matchers: [day=x]}]\n", "source_matchers"),
        (
            ROUTE
            + RECEIVERS
            + "inhibit_rules: [{source_matchers: [day=x], target_matchers: [day=y], equal: [rack]}]\n",
            "'rack' is no label",
        ),
        (ROUTE + RECEIVERS + "delivery: {attempts: 0}\n", "delivery.attempts"),
        (ROUTE + RECEIVERS + "digests: {most_messages_share: 0}\n", "digests.most_messages_share"),
        (ROUTE + RECEIVERS + "digests: {most_messages_share: .nan}\n", "digests.most_messages_share"),
        (ROUTE + RECEIVERS + "night_deadline: 17:00\n", "write a time of day in quotes"),
        (ROUTE + RECEIVERS + "night_deadline: '7 am'\n", "write a time of day in quotes"),
        (ROUTE + RECEIVERS + "night_deadline: '29:00'\n", "night_deadline"),
        (ROUTE + RECEIVERS + "report_url: report\n", "write a web address"),
    ],
)
def test_a_faulty_document_names_file_and_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(GovernanceError, match=r"alert_routes\.yaml") as raised:
        load_alert_routes(project(tmp_path, text))
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    "receiver",
    [
        "apprise_url_env: ['mailtos://robot:hunter2@example.com']",
        "apprise_url_env: ['hunter2 oops']",
        "alertmanager_urls: ['http://robot:hunter2@alertmanager:9093']",
        "alertmanager_urls: ['http://alertmanager:9093?token=hunter2']",
    ],
)
def test_a_secret_in_the_document_is_refused_and_not_repeated(tmp_path: Path, receiver: str) -> None:
    with pytest.raises(GovernanceError) as raised:
        load_alert_routes(project(tmp_path, ROUTE + f"receivers: [{{name: office, {receiver}}}]\n"))
    assert "hunter2" not in str(raised.value)
    assert "entry 0" in str(raised.value)


def test_routes_cannot_be_changed_by_who_reads_them() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Route(receiver="a").receiver = "b"  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        Receiver(name="a").name = "b"  # type: ignore[misc]
