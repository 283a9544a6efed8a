"""Patterns of names: many at once agree with one at a time, inclusion of globs is exact, and nothing hangs."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omgov_assets.model_management import name_patterns
from omgov_assets.model_management.name_patterns import (
    PatternError,
    compiled,
    escaped,
    glob_includes,
    glob_regex,
    matcher,
)

globs = st.text(alphabet="ab*?", max_size=5)
names = st.text(alphabet="ab.中\n", max_size=6)


def python_regex(glob: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in glob), re.DOTALL)


@given(patterns=st.lists(globs, max_size=6), name=names)
def test_all_patterns_at_once_agree_with_each_alone(patterns: list[str], name: str) -> None:
    expected = [at for at, glob in enumerate(patterns) if python_regex(glob).fullmatch(name)]
    assert matcher([glob_regex(glob) for glob in patterns])(name) == expected


@given(general=globs, special=globs)
def test_a_glob_includes_another_when_no_name_tells_them_apart(general: str, special: str) -> None:
    # Each glob needs at most five letters to be told apart from another; z stands for what neither holds.
    words = ("".join(word) for length in range(7) for word in itertools.product("abz", repeat=length))
    one, other = python_regex(general), python_regex(special)
    assert glob_includes(general, special) == all(one.fullmatch(word) for word in words if other.fullmatch(word))


@pytest.mark.parametrize(
    ("general", "special", "included"),
    [
        ("*", "os_*", True),
        ("os_*", "os_cpu_*", True),
        ("os_cpu_*", "os_*", False),
        ("?*", "*a", True),
        ("*?", "?*", True),
        ("a*c", "a*b*c", True),
        ("a*b", "*b", False),
        ("*_*_*", "os_*_cpu_?", True),
    ],
)
def test_the_inclusion_of_globs(general: str, special: str, included: bool) -> None:
    assert glob_includes(general, special) is included


def test_inclusion_that_would_take_too_long_to_decide_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_patterns, "_INCLUSION_STATES", 10)
    assert not glob_includes("*a???????????????", "*a???????????????b?")


@pytest.mark.parametrize("set_bytes", [1 << 14, 1 << 17])
def test_patterns_too_large_for_a_set_are_asked_one_by_one(monkeypatch: pytest.MonkeyPatch, set_bytes: int) -> None:
    regexes = [glob_regex(f"*a{number}*b*") for number in range(50)]
    expected = matcher(regexes)("a49b a1b")
    monkeypatch.setattr(name_patterns, "_SET_BYTES", set_bytes)
    assert matcher(regexes)("a49b a1b") == expected == [1, 4, 49]


def test_more_patterns_than_one_set_holds_keep_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_patterns, "_SET_PATTERNS", 2)
    assert matcher(["a.*", "b", ".*c", "abc", "x"])("abc") == [0, 2, 3]


def test_a_regex_that_would_hang_a_backtracking_matcher_does_not() -> None:
    assert matcher(["(a|aa|a*)*b", "(?s:.*.*.*.*.*x)"])("a" * 10_000) == []


@pytest.mark.parametrize("regex", ["(", "(?=a)", r"(a)\1", "a{1001}", "(?P<n>a)(?P<n>b)", "((a{1,99}){1,99})", "[z-a]"])
def test_what_re2_does_not_take_is_refused_with_its_reason(regex: str) -> None:
    with pytest.raises(PatternError, match=r"\w"):
        compiled(regex)


@given(name=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12))
def test_an_escaped_name_matches_itself_and_nothing_longer(name: str) -> None:
    assert compiled(escaped(name)).fullmatch(name)
    assert not compiled(escaped(name)).fullmatch(name + "x")
