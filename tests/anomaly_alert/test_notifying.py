"""When a group needs a message, what it says, and what a silence keeps from it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from alert_cases import DAY, NIGHT, alert, label_sets, routes
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.anomaly_alert.notifying import Notification, Told, notification_for
from omgov_assets.anomaly_alert.routing import Group, group_alerts
from omgov_assets.anomaly_alert.silences import Silence, last_entries, new_silence, silenced

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ROUTES = routes(
    {"receiver": "office", "group_by": ["day"], "group_wait": "1m", "group_interval": "10m", "repeat_interval": "4h"}
)
FIRST, SECOND = alert(system="a"), alert(system="b")


def group(*alerts: Alert) -> Group:
    (found,) = group_alerts(ROUTES.route, alerts)
    return found


def told(notification: Notification | None, waiting: bool = False) -> Told:
    assert notification is not None
    alerts = notification.alerts if waiting else None
    return Told(notification.key, notification.due_at, notification.firing, alerts)


def test_a_new_group_waits_for_further_alerts_and_says_them_together() -> None:
    first = notification_for(group(FIRST), None, NIGHT, send_resolved=True)
    assert first is not None
    assert (first.due_at, first.rewrites) == (NIGHT + MINUTE, False)
    second = notification_for(group(FIRST, SECOND), told(first, waiting=True), NIGHT + MINUTE / 2, send_resolved=True)
    assert second is not None
    assert (second.key, second.due_at, second.rewrites) == (first.key, first.due_at, True)
    assert {each.labels["system"] for each in second.alerts} == {"a", "b"}


def test_nothing_new_is_nothing_to_say_until_it_is_time_to_repeat() -> None:
    first = notification_for(group(FIRST), None, NIGHT, send_resolved=True)
    assert notification_for(group(FIRST), told(first), NIGHT + HOUR, send_resolved=True) is None
    repeated = notification_for(group(FIRST), told(first), NIGHT + 5 * HOUR, send_resolved=True)
    assert first is not None
    assert repeated is not None
    assert repeated.due_at == NIGHT + 5 * HOUR
    assert repeated.key != first.key
    # What still waits to be said is not said again.
    assert notification_for(group(FIRST), told(first, waiting=True), NIGHT + 5 * HOUR, send_resolved=True) is None


def test_further_alerts_of_a_group_keep_the_interval() -> None:
    first = notification_for(group(FIRST), None, NIGHT, send_resolved=True)
    soon = notification_for(group(FIRST, SECOND), told(first), NIGHT + 2 * MINUTE, send_resolved=True)
    assert soon is not None
    assert soon.due_at == NIGHT + MINUTE + 10 * MINUTE
    late = notification_for(group(FIRST, SECOND), told(first), NIGHT + HOUR, send_resolved=True)
    assert late is not None
    assert late.due_at == NIGHT + HOUR


def test_who_was_told_that_it_began_is_told_that_it_is_over_if_they_want_to() -> None:
    first = notification_for(group(FIRST), None, NIGHT, send_resolved=True)
    over = group(FIRST.resolved(DAY))
    notice = notification_for(over, told(first), NIGHT + HOUR, send_resolved=True)
    assert notice is not None
    assert [(each.status, each.fingerprint) for each in notice.alerts] == [("resolved", FIRST.fingerprint)]
    assert notice.firing == frozenset()
    assert notification_for(over, told(first), NIGHT + HOUR, send_resolved=False) is None
    assert notification_for(over, None, NIGHT + HOUR, send_resolved=True) is None
    assert notification_for(over, told(notice), NIGHT + 2 * HOUR, send_resolved=True) is None


def test_what_comes_back_is_said_again_as_another_message() -> None:
    first = notification_for(group(FIRST), None, NIGHT, send_resolved=True)
    notice = notification_for(group(FIRST.resolved(DAY)), told(first), NIGHT + HOUR, send_resolved=True)
    again = notification_for(group(FIRST), told(notice), NIGHT + 2 * HOUR, send_resolved=True)
    assert again is not None
    assert again.key not in {each.key for each in (first, notice) if each}


def test_what_is_about_one_day_is_never_repeated() -> None:
    digest = alert("digest", momentary=True)
    first = notification_for(group(digest), None, NIGHT, send_resolved=True)
    assert first is not None
    assert first.firing == frozenset()
    both = notification_for(group(FIRST), told(first), NIGHT + HOUR, send_resolved=True)
    assert both is not None
    assert [each.fingerprint for each in both.alerts] == [FIRST.fingerprint]


def test_an_alert_says_both_languages_and_known_labels() -> None:
    sound = FIRST.model_dump()
    for fault in (
        {"annotations": {**sound["annotations"], "summary_zh": ""}},
        {"annotations": {**sound["annotations"], "owner_name": "王芳"}},
        {"labels": {"system": "a"}},
        {"labels": {"alertname": "x", "host": "a"}},
        {"labels": {"alertname": "x", "system": ""}},
        {"ends_at": DAY - timedelta(days=1)},
        {"status": "resolved"},
    ):
        with pytest.raises(ValidationError):
            Alert.model_validate(sound | fault)


def silence(**changes: Any) -> Silence:
    given_ = {"author": "wang", "reason": "move of the machine room", "matchers": ["system=a"], "starts_at": NIGHT}
    return new_silence(**({**given_, "expires_at": NIGHT + HOUR} | changes))


def test_a_silence_holds_from_its_start_until_before_its_end() -> None:
    held = silence()
    for now, holds in ((NIGHT - MINUTE, False), (NIGHT, True), (NIGHT + HOUR - MINUTE, True), (NIGHT + HOUR, False)):
        assert (FIRST.fingerprint in silenced([FIRST, SECOND], [held], now)) is holds
    assert silenced([FIRST, SECOND], [held], NIGHT) == {FIRST.fingerprint: held.silence_id}


def test_a_silence_that_somebody_ended_holds_no_longer() -> None:
    held = silence()
    ended = held.model_copy(update={"expires_at": NIGHT + MINUTE, "author": "li"})
    assert last_entries([held, ended]) == [ended]
    assert silenced([FIRST], [held, ended], NIGHT + 2 * MINUTE) == {}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"author": " "}, "an author and a reason"),
        ({"reason": ""}, "an author and a reason"),
        ({"matchers": []}, "silence everything"),
        ({"matchers": ['system=~".*"', "dataset!=x"]}, "silence everything"),
        ({"matchers": ["host=a"]}, "no label of alerts"),
        ({"expires_at": NIGHT - MINUTE}, "before it starts"),
        ({"expires_at": NIGHT.replace(tzinfo=None)}, "timezone"),
    ],
)
def test_a_silence_without_author_reason_or_bounds_is_refused(fault: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        silence(**fault)


@given(st.lists(label_sets(), min_size=1, max_size=8), st.data())
def test_over_any_history_every_standing_alert_is_told_once_and_every_end_once(
    drawn: list[dict[str, str]], data: st.DataObject
) -> None:
    """A receiver that follows the messages believes exactly what holds, whatever came in which order."""
    everything = {each.fingerprint: each for each in (alert(**labels) for labels in drawn)}
    route = routes({"receiver": "office", "group_by": [], "repeat_interval": "366d"}).route
    before, told_, now, believed = set[str](), None, NIGHT, set[str]()
    for _ in range(data.draw(st.integers(1, 6))):
        holding = set(data.draw(st.lists(st.sampled_from(sorted(everything)), unique=True)))
        now += HOUR
        given_ = [everything[each] for each in sorted(holding)]
        given_ += [everything[each].resolved(DAY) for each in sorted(before - holding)]
        before = holding
        for found in group_alerts(route, given_):
            message = notification_for(found, told_, now, send_resolved=True)
            if message is None:
                continue
            for each in message.alerts:
                if each.status == "resolved":
                    assert each.fingerprint in believed, "told of an end without a beginning"
            believed |= {each.fingerprint for each in message.alerts if each.status == "firing"}
            believed -= {each.fingerprint for each in message.alerts if each.status == "resolved"}
            assert message.firing == believed
            told_ = told(message)
        assert believed == holding
