"""Signed links: open one snapshot, for one principal, for minutes, and only as long as nothing was taken back."""

from __future__ import annotations

import hashlib
import hmac
import json
import multiprocessing
import os
import stat
import string
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from audit_cases import NOON
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from identity_provider import changed, claims_at, signed, trusting
from killed import killed_at

from omgov_assets.access_control import link_keys
from omgov_assets.access_control.authentication import Authenticator
from omgov_assets.access_control.link_keys import FORMER_KEY_VARIABLE, KEY_VARIABLE, LinkKeyError, LinkKeys
from omgov_assets.access_control.principals import Principal
from omgov_assets.access_control.signed_links import USUAL_LIFE, Link, LinkError, LinkRefusedError, SignedLinks
from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.model_management.access_rules import AccessRules
from omgov_assets.model_management.governance import load_governance

ZONE = ZoneInfo("Asia/Shanghai")
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
SNAPSHOT = "cmdb/owners/2026-11-20/0123456789abcdef0123456789abcdef"
OFFER = "5b0c0c1e-6c55-4a1f-9a3a-2f0d8a3c7e11"
URL_SAFE = string.ascii_letters + string.digits + "-_."


@pytest.fixture(scope="module")
def rules(project_root: Path) -> AccessRules:
    return trusting(load_governance(project_root).access)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TokenStore]:
    with TokenStore(tmp_path / "access" / "tokens.db") as store:
        yield store


@pytest.fixture
def keys(tmp_path: Path) -> LinkKeys:
    return LinkKeys(tmp_path / "access" / "link_keys.json")


@pytest.fixture
def links(keys: LinkKeys, rules: AccessRules, store: TokenStore) -> SignedLinks:
    return SignedLinks(keys, rules, store, ZONE)


class Desk:
    """Signs links of principals that came with a token of this home."""

    def __init__(self, links: SignedLinks, rules: AccessRules, store: TokenStore) -> None:
        self.links, self.rules, self.store = links, rules, store

    def came(self, name: str = "steward", life: timedelta = 30 * DAY) -> tuple[Principal, str]:
        text, token = self.store.create(name, ["share"], NOON, life)
        return Authenticator(self.rules, self.store, ZONE).authenticate(text, None, NOON), token.token_id

    def link(self, expires_at: datetime | None = None, **came: Any) -> str:
        principal, token_id = self.came(**came)
        return self.links.sign(SNAPSHOT, principal, token_id, OFFER, self.rules.policy_hash, NOON, expires_at)


@pytest.fixture
def desk(links: SignedLinks, rules: AccessRules, store: TokenStore) -> Desk:
    return Desk(links, rules, store)


def refusal(links: SignedLinks, text: str, now: datetime = NOON, asked_by: Principal | None = None) -> str:
    with pytest.raises(LinkRefusedError) as refused:
        links.open(text, now, asked_by)
    # Some letters stand in every message.
    assert len(text) < 40 or text not in str(refused.value)
    return refused.value.reason


def test_a_link_opens_the_snapshot_it_was_signed_for(links: SignedLinks, rules: AccessRules, desk: Desk) -> None:
    principal, token_id = desk.came()
    text = links.sign(SNAPSHOT, principal, token_id, OFFER, rules.policy_hash, NOON)
    expected = Link(SNAPSHOT, "steward", token_id, OFFER, rules.policy_hash, NOON, NOON + USUAL_LIFE)
    assert links.open(text, NOON) == expected
    assert links.open(text, NOON + USUAL_LIFE - SECOND) == expected
    assert links.open(text, NOON + USUAL_LIFE - SECOND, asked_by=principal) == expected
    assert set(text) <= set(URL_SAFE)
    assert refusal(links, text, NOON + USUAL_LIFE) == "expired"


def test_a_link_is_of_somebody_and_no_one_elses(links: SignedLinks, desk: Desk) -> None:
    text = desk.link()
    other, _ = desk.came("engineer")
    assert refusal(links, text, NOON, asked_by=other) == "wrong_principal"


def test_no_character_can_be_changed_added_or_left_out(links: SignedLinks, desk: Desk) -> None:
    text = desk.link()
    for position in range(len(text)):
        for other in set(URL_SAFE + "=+/ \n%é") - {text[position]}:
            assert refusal(links, text[:position] + other + text[position + 1 :]) in {"malformed", "forged"}
        assert refusal(links, text[:position] + text[position + 1 :]) in {"malformed", "forged"}
        assert refusal(links, text[:position] + "A" + text[position:]) in {"malformed", "forged"}
    for more in ("=", "A", "\n", ".", ".A", " "):
        assert refusal(links, text + more) in {"malformed", "forged"}
    links.open(text, NOON)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{43}", fullmatch=True))
def test_whatever_nobody_signed_opens_nothing(links: SignedLinks, text: str) -> None:
    assert refusal(links, text) in {"malformed", "forged"}


names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.tuples(names, names, names, st.integers(1, 86_400)),
    second=st.tuples(names, names, names, st.integers(1, 86_400)),
)
def test_two_links_are_the_same_text_only_if_they_say_the_same(
    links: SignedLinks, first: tuple[str, str, str, int], second: tuple[str, str, str, int]
) -> None:
    def link(parts: tuple[str, str, str, int]) -> str:
        snapshot, name, token_id, life_s = parts
        principal = Principal(name, frozenset(), 1, "quality")
        return links.sign(snapshot, principal, token_id, OFFER, "hash", NOON, NOON + life_s * SECOND)

    assert (link(first) == link(second)) == (first == second)
    # What one says cannot move into its neighbour.
    whole = "".join(first[:3])
    assert len({link((whole[:cut] or "-", whole[cut:] or "-", "t", 60)) for cut in range(len(whole))}) == len(whole)
    assert link(first) == link(first), "the same inputs give the same link"


def test_a_link_lives_for_a_day_at_most_and_no_longer_than_its_principal(links: SignedLinks, desk: Desk) -> None:
    principal, token_id = desk.came(life=2 * HOUR)

    def signed_until(ends: datetime) -> datetime:
        text = links.sign(SNAPSHOT, principal, token_id, OFFER, desk.rules.policy_hash, NOON, ends)
        return links.open(text, NOON).expires_at

    assert signed_until(NOON + HOUR) == NOON + HOUR
    assert signed_until(NOON + DAY) == NOON + 2 * HOUR
    assert signed_until(NOON + HOUR + timedelta(milliseconds=999)) == NOON + HOUR
    for ends in (NOON + DAY + SECOND, NOON, NOON - SECOND, NOON + timedelta(milliseconds=10)):
        with pytest.raises(LinkError):
            signed_until(ends)


@pytest.mark.parametrize("snapshot", ["", "a\nb", "x" * 513, "a\u0000", "\ud800"])
def test_a_link_to_what_cannot_be_is_not_signed(links: SignedLinks, desk: Desk, snapshot: str) -> None:
    principal, token_id = desk.came()
    with pytest.raises(LinkError):
        links.sign(snapshot, principal, token_id, OFFER, "hash", NOON)
    with pytest.raises(LinkError, match="too long together"):
        links.sign("😀" * 300, principal, token_id, OFFER, "hash", NOON)


# --- What happened since ---------------------------------------------------------------------------------------------


def test_a_token_that_was_revoked_or_is_over_closes_its_links(
    links: SignedLinks, store: TokenStore, desk: Desk
) -> None:
    principal, token_id = desk.came()
    text = links.sign(SNAPSHOT, principal, token_id, OFFER, desk.rules.policy_hash, NOON)
    other = desk.link()
    links.open(text, NOON)
    store.revoke(token_id, NOON)
    assert refusal(links, text) == "token_revoked"
    links.open(other, NOON)


def test_a_token_whose_life_rotation_made_shorter_closes_its_links(
    links: SignedLinks, store: TokenStore, desk: Desk
) -> None:
    principal, token_id = desk.came()
    text = links.sign(SNAPSHOT, principal, token_id, OFFER, desk.rules.policy_hash, NOON)
    store.rotate(token_id, NOON, timedelta(minutes=5), DAY)
    links.open(text, NOON + timedelta(minutes=4))
    assert refusal(links, text, NOON + timedelta(minutes=5)) == "token_expired"


def test_a_token_that_is_not_there_or_is_another_ones_opens_nothing(links: SignedLinks, desk: Desk) -> None:
    principal, _ = desk.came()
    _, theirs = desk.came("engineer")
    policy_hash = desk.rules.policy_hash
    assert refusal(links, links.sign(SNAPSHOT, principal, theirs, OFFER, policy_hash, NOON)) == "foreign_token"
    assert refusal(links, links.sign(SNAPSHOT, principal, "0" * 12, OFFER, policy_hash, NOON)) == "unknown_token"
    assert refusal(links, links.sign(SNAPSHOT, principal, None, OFFER, policy_hash, NOON)) == "unknown_principal"


def test_a_principal_that_the_rules_forgot_or_whose_grant_is_over_opens_nothing(
    keys: LinkKeys, store: TokenStore, desk: Desk
) -> None:
    text = desk.link(NOON + 20 * HOUR)

    def under(principals: tuple[Any, ...]) -> SignedLinks:
        rules = changed(desk.rules, principals=principals)
        # As if the rules hashed to the same, so that the principal alone is what has changed.
        rules.__dict__["policy_hash"] = desk.rules.policy_hash
        return SignedLinks(keys, rules, store, ZONE)

    others = tuple(one for one in desk.rules.principals if one.id != "steward")
    assert refusal(under(others), text) == "unknown_principal"
    shorter = tuple(one.model_copy(update={"valid_until": date(2026, 11, 20)}) for one in desk.rules.principals)
    midnight = datetime(2026, 11, 21, tzinfo=ZONE)
    under(shorter).open(text, midnight - SECOND)
    assert refusal(under(shorter), text, midnight) == "grant_over"


def test_a_link_is_not_replayed_after_the_rules_have_changed(keys: LinkKeys, store: TokenStore, desk: Desk) -> None:
    text = desk.link()
    rules = changed(desk.rules, owner="somebody else")
    assert rules.policy_hash != desk.rules.policy_hash
    assert refusal(SignedLinks(keys, rules, store, ZONE), text) == "policy_changed"


def test_a_link_of_an_identity_providers_token_lives_as_long_as_that(
    keys: LinkKeys, links: SignedLinks, store: TokenStore, desk: Desk
) -> None:
    token = signed(claims_at(NOON, exp=int((NOON + timedelta(minutes=10)).timestamp())))
    who = Authenticator(desk.rules, store, ZONE).identify(token, None, NOON)
    text = links.sign(SNAPSHOT, who.principal, who.token_id, OFFER, desk.rules.policy_hash, NOON, NOON + DAY)
    opened = links.open(text, NOON)
    assert (opened.principal, opened.token_id) == ("firm:E-1042", None)
    assert opened.expires_at == NOON + timedelta(minutes=10, seconds=30)
    rules = changed(desk.rules, oidc=())
    rules.__dict__["policy_hash"] = desk.rules.policy_hash
    assert refusal(SignedLinks(keys, rules, store, ZONE), text) == "unknown_principal"


def test_a_clock_that_was_set_back_opens_nothing(links: SignedLinks, desk: Desk) -> None:
    text = desk.link()
    assert refusal(links, text, NOON - timedelta(minutes=2)) == "clock_set_back"
    assert refusal(links, text, NOON + HOUR) == "expired"
    # Seen expired: it does not come back with the clock.
    assert refusal(links, text, NOON) == "clock_set_back"


def test_a_link_signed_later_than_now_opens_nothing(keys: LinkKeys, rules: AccessRules, tmp_path: Path) -> None:
    with TokenStore(tmp_path / "one.db") as ahead, TokenStore(tmp_path / "two.db") as other:
        principal = Principal("firm:E-1", frozenset(), 1, "quality")
        text = SignedLinks(keys, rules, ahead, ZONE).sign(SNAPSHOT, principal, None, OFFER, rules.policy_hash, NOON)
        links = SignedLinks(keys, rules, other, ZONE)
        assert refusal(links, text, NOON - timedelta(seconds=6)) == "clock_set_back"
        links.open(text, NOON - timedelta(seconds=5))


def test_without_keys_or_tokens_nothing_opens(
    keys: LinkKeys, links: SignedLinks, store: TokenStore, desk: Desk
) -> None:
    text = desk.link()
    keys.path.chmod(0o644)
    assert refusal(links, text) == "unavailable"
    keys.path.chmod(0o600)
    links.open(text, NOON)
    store.con.execute("DROP TABLE clock")
    assert refusal(links, text) == "unavailable"


# --- Keys ------------------------------------------------------------------------------------------------------------


def forged(content: bytes, secret: bytes, domain: bytes = b"omgov signed link 1\n") -> str:
    parts = (content, hmac.new(secret, domain + content, hashlib.sha256).digest())
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def test_a_signature_of_another_key_or_for_another_end_is_forged(
    keys: LinkKeys, links: SignedLinks, rules: AccessRules
) -> None:
    secret = keys.all()[0].secret
    issued_s = int(NOON.timestamp())
    fields = [SNAPSHOT, "firm:E-1", None, OFFER, rules.policy_hash, issued_s, issued_s + 60]
    content = json.dumps(fields, separators=(",", ":")).encode()
    assert links.open(forged(content, secret), NOON).principal == "firm:E-1"
    assert refusal(links, forged(content, bytes(32))) == "forged"
    assert refusal(links, forged(content, secret, b"")) == "forged"
    assert refusal(links, forged(content, secret, b"omgov audit anchor 1\n")) == "forged"


@pytest.mark.parametrize(
    "change",
    [
        lambda f: json.dumps(f),
        lambda f: json.dumps(f, separators=(",", ":"))[:-1] + ",1]",
        lambda f: json.dumps(dict(enumerate(f))),
        lambda f: json.dumps([*f[:5], f[5], f[5] + 86_401], separators=(",", ":")),
        lambda f: json.dumps([*f[:5], f[5], True], separators=(",", ":")),
        lambda f: json.dumps([*f[:5], f[5], str(f[6])], separators=(",", ":")),
        lambda f: json.dumps([*f[:5], f[5], f[6] + 0.5], separators=(",", ":")),
        lambda f: json.dumps([*f[:5], f[5], 10**30], separators=(",", ":")),
        lambda f: json.dumps([["x"], *f[1:]], separators=(",", ":")),
        lambda f: json.dumps([f[0], f[1], 7, *f[3:]], separators=(",", ":")),
        lambda f: json.dumps([*f[:3], None, *f[4:]], separators=(",", ":")),
        lambda f: "[" * 2000,
        lambda f: "",
        lambda f: "\ud800",
    ],
)
def test_a_text_signed_by_the_key_that_is_not_written_as_links_are_is_none(
    keys: LinkKeys, links: SignedLinks, rules: AccessRules, change: Any
) -> None:
    issued_s = int(NOON.timestamp())
    fields = [SNAPSHOT, "firm:E-1", None, OFFER, rules.policy_hash, issued_s, issued_s + 60]
    text = forged(change(fields).encode("utf-8", "surrogatepass"), keys.all()[0].secret)
    assert refusal(links, text) == "malformed"


def test_a_link_of_before_they_named_their_offer_has_expired(
    keys: LinkKeys, links: SignedLinks, rules: AccessRules
) -> None:
    issued_s = int(NOON.timestamp())
    fields = [SNAPSHOT, "firm:E-1", None, rules.policy_hash, issued_s, issued_s + 60]
    text = forged(json.dumps(fields, separators=(",", ":")).encode(), keys.all()[0].secret)
    with pytest.raises(LinkRefusedError) as refused:
        links.open(text, NOON)
    assert (refused.value.reason, refused.value.principal) == ("expired", "firm:E-1")


def test_links_of_the_former_key_work_until_they_expire(keys: LinkKeys, links: SignedLinks, desk: Desk) -> None:
    old = desk.link(NOON + DAY)
    former = keys.all()[0].secret
    keys.rotate(NOON + HOUR)
    assert keys.all()[0].secret != former
    new = desk.link(NOON + DAY)
    assert old.rpartition(".")[2] != new.rpartition(".")[2]
    for text in (old, new):
        links.open(text, NOON + DAY - SECOND)
        assert refusal(links, text, NOON + DAY) == "expired"
    # By the next rotation after a day, no link of it is left.
    keys.rotate(NOON + DAY + HOUR)
    assert former not in [key.secret for key in keys.all()]


def test_a_former_key_signs_nothing_new(keys: LinkKeys, links: SignedLinks, rules: AccessRules) -> None:
    former = keys.all()[0].secret
    keys.rotate(NOON)

    def link(issued_at: datetime) -> str:
        issued_s = int(issued_at.timestamp())
        fields = [SNAPSHOT, "firm:E-1", None, OFFER, rules.policy_hash, issued_s, issued_s + 600]
        return forged(json.dumps(fields, separators=(",", ":")).encode(), former)

    links.open(link(NOON), NOON + SECOND)
    assert refusal(links, link(NOON + SECOND), NOON + SECOND) == "forged"


def test_a_key_that_others_may_know_signs_nothing_that_was(keys: LinkKeys, links: SignedLinks, desk: Desk) -> None:
    text = desk.link()
    keys.rotate(NOON, former_is_known_to_others=True)
    assert len(keys.all()) == 1
    assert refusal(links, text) == "forged"


def test_replacing_the_key_too_often_breaks_no_link(keys: LinkKeys, links: SignedLinks, desk: Desk) -> None:
    text = desk.link()
    for _ in range(24):
        keys.rotate(NOON)
    with pytest.raises(LinkKeyError, match="within a day"):
        keys.rotate(NOON)
    links.open(text, NOON)


def _first_key(path: Path, start: Any, found: Any) -> None:
    start.wait()
    found.put(LinkKeys(path).all()[0].secret)


def test_processes_that_race_make_one_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for number in range(5):
        path = tmp_path / f"home-{number}" / "access" / "link_keys.json"
        start, found = context.Barrier(6), context.Queue()
        racing = [context.Process(target=_first_key, args=(path, start, found)) for _ in range(6)]
        for process in racing:
            process.start()
        secrets = {found.get(timeout=60) for _ in racing}
        for process in racing:
            process.join()
        assert len(secrets) == 1
        assert {len(secret) for secret in secrets} == {32}
        assert [entry.name for entry in path.parent.iterdir()] == [path.name], "nothing is left lying about"


def _rotate(path: Path, start: Any) -> None:
    start.wait()
    LinkKeys(path).rotate(NOON)


def test_processes_that_replace_the_key_at_once_lose_none(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    keys = LinkKeys(tmp_path / "access" / "link_keys.json")
    first = keys.all()[0].secret
    start = context.Barrier(5)
    racing = [context.Process(target=_rotate, args=(keys.path, start)) for _ in range(5)]
    for process in racing:
        process.start()
    for process in racing:
        process.join()
    assert len({key.secret for key in keys.all()}) == 6
    assert keys.all()[-1].secret == first


def test_a_key_is_secret_from_the_first_moment(keys: LinkKeys) -> None:
    before = os.umask(0)
    try:
        keys.all()
        keys.rotate(NOON)
    finally:
        os.umask(before)
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert keys.all()[0].secret.hex() not in repr(keys.all()) + repr(keys)
    for mode in (0o640, 0o604, 0o660):
        keys.path.chmod(mode)
        with pytest.raises(LinkKeyError, match="can be read by others"):
            keys.all()


def test_a_change_that_was_killed_leaves_a_key_that_opens_what_it_signed(tmp_path: Path, monkeypatch: Any) -> None:
    for act in ("make", "rotate"):
        step, was_killed = 0, True
        while was_killed:
            step += 1
            keys = LinkKeys(tmp_path / f"{act}-{step}" / "access" / "link_keys.json")
            before = keys.all()[0].secret if act == "rotate" else None

            def work(count: Any, keys: LinkKeys = keys, act: str = act) -> None:
                fsync = os.fsync

                def counting(handle: int) -> None:
                    count()
                    fsync(handle)
                    count()

                monkeypatch.setattr(link_keys.os, "fsync", counting)
                keys.rotate(NOON) if act == "rotate" else keys.all()

            was_killed = killed_at(step, work)
            assert before is None or before in [key.secret for key in keys.all()]
            assert keys.all() == keys.all()
        assert step == 5, "two writes, each before and after it is durable"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "x",
        "{}",
        "[]",
        "null",
        "7",
        '[{"key": "00"}]',
        json.dumps([{"key": "0" * 64}]),
        json.dumps([{"key": "0" * 64, "retired_at": NOON.isoformat()}]),
        json.dumps([{"key": digit * 64, "retired_at": None} for digit in "01"]),
        json.dumps([{"key": "0" * 64, "retired_at": None}, {"key": "1" * 64, "retired_at": "2026-11-20T00:00:00"}]),
        json.dumps([{"key": "0" * 64, "retired_at": 7}]),
        "[" * 60_000,
    ],
    ids=range(13),
)
def test_a_file_that_holds_no_keys_signs_and_opens_nothing(
    keys: LinkKeys, links: SignedLinks, desk: Desk, content: str
) -> None:
    text = desk.link()
    keys.path.write_text(content, encoding="utf-8")
    assert refusal(links, text) == "unavailable"
    with pytest.raises(LinkKeyError):
        desk.link()
    with pytest.raises(LinkKeyError):
        keys.rotate(NOON)
    assert keys.path.read_text(encoding="utf-8") == content, "what a person can still repair is not overwritten"


def test_keys_of_the_environment_go_before_the_file(tmp_path: Path, rules: AccessRules, store: TokenStore) -> None:
    path = tmp_path / "access" / "link_keys.json"
    one, two = "1a" * 32, "2B" * 32

    def links(**environment: str) -> SignedLinks:
        return SignedLinks(LinkKeys(path, environment), rules, store, ZONE)

    principal = Principal("firm:E-1", frozenset(), 1, "quality")
    text = links(**{KEY_VARIABLE: one}).sign(SNAPSHOT, principal, None, OFFER, rules.policy_hash, NOON)
    assert not path.exists()
    links(**{KEY_VARIABLE: one}).open(text, NOON)
    links(**{KEY_VARIABLE: two, FORMER_KEY_VARIABLE: one}).open(text, NOON)
    assert refusal(links(**{KEY_VARIABLE: two}), text) == "forged"
    assert refusal(links(), text) == "forged"
    with pytest.raises(LinkKeyError, match=FORMER_KEY_VARIABLE):
        LinkKeys(path, {KEY_VARIABLE: one}).rotate(NOON)
    assert one not in repr(LinkKeys(path, {KEY_VARIABLE: one}))


@pytest.mark.parametrize("text", ["short", "0" * 63, "0" * 65, "g" * 64, "0" * 64 + "\n", " " + "0" * 63])
def test_a_key_of_the_environment_that_is_none_signs_nothing(tmp_path: Path, text: str) -> None:
    for environment in ({KEY_VARIABLE: text}, {KEY_VARIABLE: "0" * 64, FORMER_KEY_VARIABLE: text}):
        with pytest.raises(LinkKeyError, match="64 hexadecimal digits") as raised:
            LinkKeys(tmp_path / "link_keys.json", environment).all()
        assert text not in str(raised.value)


def test_times_are_told_in_utc(links: SignedLinks, rules: AccessRules) -> None:
    principal = Principal("firm:E-1", frozenset(), 1, "quality")
    text = links.sign(SNAPSHOT, principal, None, OFFER, rules.policy_hash, NOON.astimezone(ZONE))
    assert links.open(text, NOON).issued_at.tzinfo is UTC
