"""UCUM codes: what is a unit of O&M data, how large it is, and what it counts."""

from __future__ import annotations

from fractions import Fraction

import pytest

from omgov_assets.model_management.ucum import meaning


@pytest.mark.parametrize(
    ("code", "factor", "base"),
    [
        ("KiBy", Fraction(1024), "By"),
        ("kBy", Fraction(1000), "By"),
        ("TiBy", Fraction(1024**4), "By"),
        ("By", Fraction(8), "bit"),
        ("By/s", Fraction(8), "bit/s"),
        ("us", Fraction(1, 10**6), "s"),
        ("wk", Fraction(604800), "s"),
        ("1/min", Fraction(1, 60), "Hz"),
        ("kW.h", Fraction(3600000), "J"),
        ("V.A", Fraction(1), "W"),
        ("bar", Fraction(100000), "Pa"),
        ("%", Fraction(1, 100), "1"),
        ("[ppm]", Fraction(1, 10000), "%"),
        ("10*4.{CNY}", Fraction(10**4), "{CNY}"),
        ("10*-9.{core}", Fraction(1, 10**9), "{core}"),
        ("%{used}", Fraction(1), "%"),
        ("(By)/(s)", Fraction(1), "By/s"),
        ("m.s-2", Fraction(1), "m/s2"),
    ],
)
def test_a_unit_is_an_exact_multiple_of_another(code: str, factor: Fraction, base: str) -> None:
    unit, base_unit = meaning(code), meaning(base)
    assert unit is not None
    assert base_unit is not None
    assert unit.converts_to(base_unit)
    assert unit.factor / base_unit.factor == factor


def test_the_pound_per_square_inch_has_its_internationally_agreed_value() -> None:
    psi, pascal = meaning("[psi]"), meaning("Pa")
    assert psi is not None
    assert pascal is not None
    assert psi.factor / pascal.factor == Fraction("4.4482216152605") / Fraction("0.0254") ** 2


@pytest.mark.parametrize(
    "code",
    [
        "",
        "B",
        "MB",
        "kB",
        "b",
        "Mb",
        "C",
        "F",
        "G",
        "a",
        "cd",
        "ph",
        "mol",
        "u",
        "k",
        "M",
        "octets",
        "bps",
        "kmin",
    ],
)
def test_an_atom_that_o_and_m_data_never_means_is_no_unit(code: str) -> None:
    assert meaning(code) is None


@pytest.mark.parametrize(
    "code",
    ["100", "{}", "By/", "{a", "秒", "µs", "mCel", "Cel/min", "By99", "10*999999999", "By s", "s" * 65],
)
def test_what_is_not_ucum_or_has_no_sense_is_no_unit(code: str) -> None:
    assert meaning(code) is None


@pytest.mark.parametrize(
    ("left", "right", "convertible"),
    [
        ("{order}", "{order}", True),
        ("{order}", "{request}", False),
        ("{order}", "1", True),
        ("1", "{order}", True),
        ("{order}/s", "1/min", True),
        ("{order}/s", "{request}/s", False),
        ("{order}/s", "{order}", False),
        ("%", "1", True),
        ("%", "{order}", False),
        ("{a}/{a}", "1", True),
        ("By/{operation}", "By", True),
        ("By", "1", False),
        ("deg", "1", False),
        ("dB", "1", False),
        ("dB", "%", False),
        ("s", "By", False),
    ],
)
def test_different_things_counted_do_not_convert(left: str, right: str, convertible: bool) -> None:
    left_unit, right_unit = meaning(left), meaning(right)
    assert left_unit is not None
    assert right_unit is not None
    assert left_unit.converts_to(right_unit) is convertible


@pytest.mark.parametrize("code", ["(" * 64, "/" * 64, "m" * 64, "s18" * 21])
def test_a_hostile_code_is_refused_without_hanging(code: str) -> None:
    assert meaning(code) is None
