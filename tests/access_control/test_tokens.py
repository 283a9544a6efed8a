"""Tokens: worth something only while everything about them is right."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from audit_cases import NOON
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from killed import killed_at

from omgov_assets.access_control import token_rates, tokens
from omgov_assets.access_control.token_rates import Rate, RateLimits
from omgov_assets.access_control.tokens import Token, TokenError, TokenRefusedError, TokenStore

DAY = timedelta(days=1)
SCOPE = ["read:quality/*", "export:cmdb/owners"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access" / "tokens.db"


@pytest.fixture
def store(path: Path) -> Iterator[TokenStore]:
    with TokenStore(path) as store:
        yield store


def refusal(store: TokenStore, text: str, now: datetime = NOON) -> str:
    with pytest.raises(TokenRefusedError) as refused:
        store.authenticate(text, now)
    assert not text or text not in str(refused.value)
    return refused.value.reason


def test_a_token_proves_who_asks_and_for_what(store: TokenStore) -> None:
    text, made = store.create("consumer-1", SCOPE, NOON, 90 * DAY)
    token = store.authenticate(text, NOON + DAY)
    assert (token.token_id, token.principal) == (made.token_id, "consumer-1")
    assert token.permits("read", "quality/anomalies")
    assert token.permits("export", "cmdb/owners")
    assert not token.permits("read", "cmdb/owners")
    assert not token.permits("export", "quality/anomalies")
    assert not token.permits("write", "quality/anomalies")


def test_an_action_without_a_dataset_is_for_all(store: TokenStore) -> None:
    _, token = store.create("consumer-1", ["read"], NOON, DAY)
    assert token.permits("read", "cmdb/owners")
    assert not token.permits("share", "cmdb/owners")


def test_256_bits_are_stored_as_their_hash_alone(store: TokenStore, path: Path) -> None:
    text, token = store.create("consumer-1", SCOPE, NOON, DAY)
    secret = text.removeprefix(f"omgov_{token.token_id}_")
    assert len(secret) == 43, "256 bits in base64"
    ((hashed,),) = store.con.execute("SELECT hash FROM tokens").fetchall()
    assert hashed == hashlib.sha256(text.encode()).hexdigest()
    files = [file.read_bytes() for file in path.parent.iterdir()]
    assert not any(secret.encode() in content for content in files)
    assert path.stat().st_mode & 0o077 == 0


def test_tokens_are_compared_in_constant_time(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = store.create("consumer-1", SCOPE, NOON, DAY)
    compared = []
    compare_digest = hmac.compare_digest

    def compare(given: str, known: str) -> bool:
        compared.append((len(given), len(known)))
        return compare_digest(given, known)

    monkeypatch.setattr(tokens.hmac, "compare_digest", compare)
    store.authenticate(text, NOON)
    refusal(store, text[:-1] + ("A" if text[-1] != "A" else "B"))
    refusal(store, "omgov_000000000000_" + 43 * "A")
    assert compared == [(64, 64)] * 3, "also where nobody has that token"


@pytest.mark.parametrize(
    "text",
    ["", "omgov", "omgov_", "Bearer x", "omgov_000000000000_" + 42 * "A", "omgov_000000000000_" + 42 * "A" + "é",
     "omgov_00000000000G_" + 43 * "A", "omgov_000000000000_" + 43 * "A" + "\n", "\0", "\ud800", "x" * 1_000_000,
     "omgov_٠٠٠٠٠٠٠٠٠٠٠٠_" + 43 * "A", "' OR 1=1 --"],
)  # fmt: skip
def test_what_is_no_token_is_refused(store: TokenStore, text: str) -> None:
    assert refusal(store, text) == "malformed"


def test_a_token_with_any_other_character_is_refused(store: TokenStore) -> None:
    text, _ = store.create("consumer-1", SCOPE, NOON, DAY, Rate(10**6, 10**6))

    @settings(max_examples=300, deadline=None)
    @given(position=st.integers(0, len(text)), character=st.characters() | st.sampled_from("0123456789abcdefAZ_-"))
    def ask(position: int, character: str) -> None:
        for other in (
            text[:position] + character + text[position + 1 :],
            text[:position] + character + text[position:],
        ):
            if other != text:
                assert refusal(store, other) in {"malformed", "unknown"}

    ask()


def test_a_token_ends_when_it_expires_and_no_clock_brings_it_back(store: TokenStore, path: Path) -> None:
    text, token = store.create("consumer-1", SCOPE, NOON, DAY)
    store.authenticate(text, NOON + DAY - timedelta(microseconds=1))
    assert refusal(store, text, NOON + DAY) == "expired"
    store.accept_clock(NOON)
    assert refusal(store, text, NOON) == "expired"
    with TokenStore(path) as again:
        assert refusal(again, text, NOON) == "expired"
    assert store.tokens()[0].state(NOON) == "expired"
    assert token.state(NOON) == "active"


def test_a_revoked_token_is_refused_at_once_by_every_process(store: TokenStore, path: Path) -> None:
    text, token = store.create("consumer-1", SCOPE, NOON, DAY)
    with TokenStore(path) as other:
        other.authenticate(text, NOON)
        store.revoke(token.token_id, NOON - DAY)
        assert refusal(other, text) == "revoked"
    assert store.revoke(token.token_id, NOON + DAY).ended_at == NOON - DAY, "the first revocation counts"


def test_a_clock_that_was_set_back_lets_nobody_in(store: TokenStore, path: Path) -> None:
    text, token = store.create("consumer-1", SCOPE, NOON, 30 * DAY)
    store.authenticate(text, NOON + DAY)
    store.authenticate(text, NOON + DAY - timedelta(seconds=4))
    assert refusal(store, text, NOON + DAY - timedelta(seconds=6)) == "clock_set_back"
    with TokenStore(path) as other:
        assert refusal(other, text, NOON + DAY - timedelta(minutes=2)) == "clock_set_back"
        with pytest.raises(TokenError, match="set back"):
            other.create("consumer-2", SCOPE, NOON, DAY)
        with pytest.raises(TokenError, match="set back"):
            other.rotate(token.token_id, NOON, DAY, DAY)
        store.accept_clock(NOON)
        assert refusal(store, text, NOON - timedelta(seconds=6)) == "clock_set_back"
        store.authenticate(text, NOON)
        other.authenticate(text, NOON)


def test_a_clock_that_somebody_accepted_counts_for_every_process(store: TokenStore, path: Path) -> None:
    text, _ = store.create("consumer-1", SCOPE, NOON, 30 * DAY)
    # Further back than the file knows to the minute, and less.
    for back in (timedelta(hours=1), timedelta(seconds=40)):
        seen = NOON + DAY + timedelta(seconds=50)
        for at in (NOON + DAY, seen):
            store.authenticate(text, at)
        assert refusal(store, text, seen - back) == "clock_set_back"
        with TokenStore(path) as other:
            other.accept_clock(seen - back)
        store.authenticate(text, seen - back)
        # From there on it goes on as before.
        assert refusal(store, text, seen - back - timedelta(seconds=6)) == "clock_set_back"
        store.authenticate(text, seen)
        store.accept_clock(NOON)


def test_a_time_that_was_under_way_while_the_clock_was_accepted_takes_nothing_back(
    store: TokenStore, path: Path
) -> None:
    text, _ = store.create("consumer-1", SCOPE, NOON, 30 * DAY)
    looked: list[str] = []

    def accepted_meanwhile(statement: str) -> None:
        # Between the look at the clock and what is written to it.
        if statement.startswith("UPDATE clock") and not looked:
            looked.append(statement)
            with TokenStore(path) as other:
                other.accept_clock(NOON)

    store.con.set_trace_callback(accepted_meanwhile)
    store.clock_goes_on(NOON + DAY)
    store.con.set_trace_callback(None)
    assert looked
    store.authenticate(text, NOON)


def test_a_store_from_before_acceptances_were_counted_goes_on(store: TokenStore, path: Path) -> None:
    text, _ = store.create("consumer-1", SCOPE, NOON, 30 * DAY)
    store.con.execute("ALTER TABLE clock DROP COLUMN acceptances")
    with TokenStore(path) as one, TokenStore(path) as other:
        one.authenticate(text, NOON + DAY)
        other.accept_clock(NOON)
        one.authenticate(text, NOON)
        # Whoever knows nothing of them can write to the file as ever.
        one.con.execute("UPDATE clock SET latest = max(latest, '')")


def test_a_rotated_token_and_its_successor_overlap(store: TokenStore) -> None:
    old_text, old = store.create("consumer-1", SCOPE, NOON, 30 * DAY, Rate(5, 2))
    new_text, new = store.rotate(old.token_id, NOON, DAY, 30 * DAY)
    assert (new.principal, new.scope, new.rate) == (old.principal, old.scope, old.rate)
    later = NOON + DAY - timedelta(seconds=1)
    assert store.authenticate(old_text, later).rotated_to == new.token_id
    store.authenticate(new_text, later)
    assert refusal(store, old_text, NOON + DAY) == "expired"
    store.authenticate(new_text, NOON + DAY)


def test_an_overlap_never_makes_a_token_live_longer(store: TokenStore) -> None:
    text, token = store.create("consumer-1", SCOPE, NOON, timedelta(hours=1))
    store.rotate(token.token_id, NOON, DAY, DAY)
    assert refusal(store, text, NOON + timedelta(hours=1)) == "expired"


def test_a_successor_that_was_lost_on_its_way_is_replaced_and_one_in_use_is_not(store: TokenStore) -> None:
    _, old = store.create("consumer-1", SCOPE, NOON, 30 * DAY)
    lost, _ = store.rotate(old.token_id, NOON, DAY, DAY)
    text, new = store.rotate(old.token_id, NOON, DAY, DAY)
    assert refusal(store, lost) == "revoked"
    store.authenticate(text, NOON)
    with pytest.raises(TokenError, match=f"{new.token_id}, which is in use"):
        store.rotate(old.token_id, NOON, DAY, DAY)


def test_an_ended_token_is_not_rotated(store: TokenStore) -> None:
    _, revoked = store.create("consumer-1", SCOPE, NOON, DAY)
    store.revoke(revoked.token_id, NOON)
    _, expired = store.create("consumer-1", SCOPE, NOON, DAY)
    for token_id, match in ((revoked.token_id, "revoked"), (expired.token_id, "expired"), ("nobodys", "no such token")):
        with pytest.raises(TokenError, match=match):
            store.rotate(token_id, NOON + DAY, DAY, DAY)


@pytest.mark.parametrize(
    ("principal", "scope", "life"),
    [
        ("a", [], DAY), ("a", ["ingest"], DAY), ("a", ["read:"], DAY), ("a", ["read:a b"], DAY), ("a", ["READ"], DAY),
        ("a", ["read:[a-z]"], DAY), ("a", ["read:x\n"], DAY), ("", ["read"], DAY), ("a\nb", ["read"], DAY),
        ("a", ["read"], timedelta(0)), ("a", ["read"], -DAY), ("a", ["read"], 400 * DAY),
    ],
)  # fmt: skip
def test_a_token_that_cannot_be_is_not_made(store: TokenStore, principal: str, scope: list[str], life: Any) -> None:
    with pytest.raises(TokenError):
        store.create(principal, scope, NOON, life)
    assert store.tokens() == []


def test_the_day_of_the_last_use_is_kept_with_one_write_a_day(store: TokenStore) -> None:
    text, _ = store.create("consumer-1", SCOPE, NOON, 30 * DAY)
    assert store.tokens()[0].last_used_day is None
    for hours, day in ((0, "2026-11-20"), (11, "2026-11-20"), (12, "2026-11-21"), (13, "2026-11-21")):
        store.authenticate(text, NOON + timedelta(hours=hours))
        assert store.tokens()[0].last_used_day == day
        changes = store.con.total_changes
        store.authenticate(text, NOON + timedelta(hours=hours, seconds=30))
        assert store.con.total_changes == changes, "neither day nor clock is written at each use"


def test_a_store_that_cannot_be_read_lets_nobody_in(path: Path) -> None:
    with TokenStore(path) as store:
        text, _ = store.create("consumer-1", SCOPE, NOON, DAY)
        with sqlite3.connect(path, isolation_level=None) as other:
            store.con.execute("PRAGMA busy_timeout = 50").fetchall()
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(TokenError, match="until it can, no token is worth anything"):
                store.authenticate(text, NOON)
            other.execute("ROLLBACK")
        other.close()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(TokenError):
        TokenStore(path)


def test_a_store_of_another_version_is_refused(path: Path) -> None:
    with TokenStore(path) as store:
        store.con.execute("PRAGMA user_version = 9")
    with pytest.raises(TokenError, match="version 9"):
        TokenStore(path)


def test_sql_makes_no_token_worth_more(store: TokenStore) -> None:
    _, token = store.create("consumer-1", SCOPE, NOON, DAY)
    store.revoke(token.token_id, NOON)
    for statement in (
        "UPDATE tokens SET ended_at = NULL, ended_by = NULL",
        "UPDATE tokens SET expires_at = '9999'",
        "UPDATE tokens SET scope = '[\"read\"]'",
        "UPDATE tokens SET principal = 'root'",
        "UPDATE tokens SET hash = 'x'",
        "DELETE FROM tokens",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            store.con.execute(statement)


def test_a_token_used_too_often_waits_and_others_do_not(path: Path) -> None:
    ticks = [0.0]
    with TokenStore(path, ticks=lambda: ticks[0]) as store:
        text, _ = store.create("consumer-1", SCOPE, NOON, DAY, Rate(per_minute=30, burst=3))
        other, _ = store.create("consumer-2", SCOPE, NOON, DAY, Rate(per_minute=30, burst=3))
        for _ in range(3):
            store.authenticate(text, NOON)
        with pytest.raises(TokenRefusedError) as refused:
            store.authenticate(text, NOON + timedelta(hours=1))
        assert (refused.value.reason, refused.value.retry_after_s) == ("rate_limited", 2.0), "wall time fills nothing"
        store.authenticate(other, NOON + timedelta(hours=1))
        ticks[0] = 2.0
        store.authenticate(text, NOON + timedelta(hours=1))
        assert refusal(store, text, NOON + timedelta(hours=1)) == "rate_limited"


@settings(max_examples=200, deadline=None)
@given(
    rate=st.builds(Rate, st.integers(1, 600), st.integers(1, 20)),
    pauses=st.lists(st.sampled_from([0.0, 0.05, 0.1, 0.5, 1.0, 7.0, 60.0]), min_size=1, max_size=120),
)
def test_a_bucket_lets_through_as_many_as_its_rate_and_burst_and_no_fewer(rate: Rate, pauses: list[float]) -> None:
    ticks, now, let_through = [0.0], 0.0, []
    limits = RateLimits(lambda: ticks[0])
    for pause in pauses:
        now += pause
        ticks[0] = now
        wait_s = limits.take("t", rate)
        if wait_s == 0:
            let_through.append(now)
        # The reference: a use is let through where no window that ends with it holds more than burst + rate × length.
        earlier = let_through[:-1] if wait_s == 0 else let_through
        windows = [(len(earlier) - first + 1, now - start) for first, start in enumerate(earlier)]
        is_allowed = all(uses <= rate.burst + length * rate.per_minute / 60 + 1e-6 for uses, length in windows)
        assert (wait_s == 0) == is_allowed
        assert wait_s * rate.per_minute / 60 <= 1 + 1e-9


def test_waiting_as_long_as_it_says_is_long_enough() -> None:
    ticks = [0.0]
    limits = RateLimits(lambda: ticks[0])
    for _ in range(50):
        wait_s = limits.take("t", Rate(7, 2))
        if wait_s:
            ticks[0] += wait_s
            assert limits.take("t", Rate(7, 2)) == 0.0
        ticks[0] += 0.1


def test_only_buckets_that_are_full_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_rates, "_MOST_BUCKETS", 2)
    ticks = [0.0]
    limits = RateLimits(lambda: ticks[0])
    limits.take("slow", Rate(1, 1))
    limits.take("quick", Rate(600, 1))
    ticks[0] = 1.0
    limits.take("third", Rate(600, 1))
    assert set(limits._buckets) == {"slow", "third"}
    assert limits.take("slow", Rate(1, 1)) == 59.0


def test_threads_share_a_store_and_a_limit(path: Path) -> None:
    with TokenStore(path, ticks=lambda: 0.0) as store:
        text, _ = store.create("consumer-1", SCOPE, NOON, DAY, Rate(per_minute=1, burst=50))
        let_in: list[Token] = []
        reasons: list[str] = []

        def ask() -> None:
            for _ in range(20):
                try:
                    let_in.append(store.authenticate(text, NOON))
                except TokenRefusedError as refused:
                    reasons.append(refused.reason)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(let_in) == 50
        assert reasons == 70 * ["rate_limited"]


class Tokens(RuleBasedStateMachine):
    """Any sequence of acts, beside a naive model of what each token is worth."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="omgov-tokens-"))
        self.store = TokenStore(self.folder / "tokens.db", ticks=lambda: 0.0)
        self.now = NOON
        self.latest = NOON - 1000 * DAY
        # Text to expiry, and whether it was ended or seen expired.
        self.expiry: dict[str, datetime] = {}
        self.ended: set[str] = set()
        self.used: set[str] = set()
        self.successor: dict[str, str] = {}

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @property
    def is_set_back(self) -> bool:
        return self.now + tokens.CLOCK_TOLERANCE < self.latest

    def draw(self, number: int) -> str:
        return sorted(self.expiry)[number % len(self.expiry)]

    @rule(hours=st.integers(1, 40))
    def make(self, hours: int) -> None:
        text: str | None = None
        try:
            text, _ = self.store.create("p", ["read"], self.now, timedelta(hours=hours), Rate(1, 10**6))
        except TokenError as error:
            said = str(error)
        assert (text is None) == self.is_set_back
        if text is None:
            assert "set back" in said
            return
        self.latest = max(self.latest, self.now)
        self.expiry[text] = self.now + timedelta(hours=hours)

    @rule(minutes=st.integers(0, 600))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(seconds=st.sampled_from([1, 5, 6, 600, 10_000]))
    def set_back(self, seconds: int) -> None:
        self.now -= timedelta(seconds=seconds)

    @rule()
    def accept(self) -> None:
        self.store.accept_clock(self.now)
        self.latest = self.now

    @precondition(lambda self: self.expiry)
    @rule(number=st.integers(0, 50))
    def revoke(self, number: int) -> None:
        text = self.draw(number)
        self.store.revoke(text[6:18], self.now)
        self.ended.add(text)

    @precondition(lambda self: self.expiry)
    @rule(number=st.integers(0, 50), hours=st.integers(0, 20))
    def rotate(self, number: int, hours: int) -> None:
        text = self.draw(number)
        heir = self.successor.get(text)
        is_possible = (
            not self.is_set_back
            and text not in self.ended
            and self.now < self.expiry[text]
            and (heir is None or (heir not in self.used and heir not in self.successor))
        )
        new: str | None
        try:
            new, _ = self.store.rotate(text[6:18], self.now, timedelta(hours=hours), DAY)
        except TokenError:
            new = None
        assert (new is not None) == is_possible
        if not self.is_set_back:
            self.latest = max(self.latest, self.now)
        if new is None:
            return
        self.expiry[text] = min(self.expiry[text], self.now + timedelta(hours=hours))
        self.expiry[new] = self.now + DAY
        if heir is not None:
            self.ended.add(heir)
        self.successor[text] = new

    @precondition(lambda self: self.expiry)
    @rule(number=st.integers(0, 50))
    def use(self, number: int) -> None:
        text = self.draw(number)
        is_seen = not self.is_set_back and text not in self.ended
        is_worth_something = is_seen and self.now < self.expiry[text]
        reason = None
        try:
            self.store.authenticate(text, self.now)
        except TokenRefusedError as refused:
            reason = refused.reason
        assert (reason is None) == is_worth_something, reason
        if is_seen:
            self.latest = max(self.latest, self.now)
        if is_worth_something:
            self.used.add(text)
        elif reason == "expired":
            self.ended.add(text)

    @invariant()
    def every_token_is_on_record(self) -> None:
        assert len(self.store.tokens()) == len(self.expiry)


TestTokens = Tokens.TestCase
TestTokens.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_change_that_was_killed_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    acts: dict[str, Callable[[TokenStore, str], object]] = {
        "create": lambda store, _: store.create("consumer-2", SCOPE, NOON, DAY),
        "rotate": lambda store, token_id: store.rotate(token_id, NOON, timedelta(hours=1), DAY),
        "revoke": lambda store, token_id: store.revoke(token_id, NOON),
    }
    for name, act in acts.items():
        step, killed, outcomes = 0, True, []
        while killed:
            step += 1
            path = tmp_path / f"{name}-{step}" / "tokens.db"
            with TokenStore(path) as store:
                text, token = store.create("consumer-1", SCOPE, NOON, 30 * DAY)

            def work(count: Callable[[], None], path: Path = path, token_id: str = token.token_id) -> None:
                with TokenStore(path) as store:
                    store.con.set_trace_callback(lambda _statement: count())
                    act(store, token_id)  # noqa: B023 - called at once

            killed = killed_at(step, work)
            with TokenStore(path) as store:
                old, *others = sorted(store.tokens(), key=lambda found: found.token_id != token.token_id)
                outcomes.append((old.state(NOON), old.expires_at, len(others)))
                assert (old.rotated_to is None) == (name != "rotate" or not others)
                if name != "revoke" or old.ended_by is None:
                    assert store.authenticate(text, NOON).principal == "consumer-1"
                # Whoever was killed and has no successor in hand rotates once more.
                if name == "rotate":
                    new, _ = store.rotate(token.token_id, NOON, timedelta(hours=1), DAY)
                    store.authenticate(new, NOON)
        assert len(set(outcomes)) == 2, f"{name}: before or after, nothing between"
        assert [first != second for first, second in pairwise(outcomes)].count(True) == 1


def test_scopes_are_kept_sorted_and_once(store: TokenStore) -> None:
    store.create("consumer-1", ["share", "read", "read"], NOON, DAY)
    ((scope,),) = store.con.execute("SELECT scope FROM tokens").fetchall()
    assert json.loads(scope) == ["read", "share"]
