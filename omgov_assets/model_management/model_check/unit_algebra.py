"""What unit the result of an operation is in.

A measure holds every unit that the values may be in, for a factor says two things: ``ms / 1000`` is a thousandth of the
time in ``ms``, or the time in ``s``. Factors by which units are converted belong together: ``ms / 1000 / 60`` is in
``ms`` or ``min``, and not in ``s``. A measure of None is unknown, and nothing is claimed of it. Does not belong here:
what a code means (``ucum``), and which operations an expression is made of (``expressions``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from fractions import Fraction

from omgov_assets.model_management.ucum import UnitMeaning, meaning

_MOST_UNITS = 48
_SHARES = frozenset({"%"})
_SECOND = UnitMeaning(Fraction(1), Fraction(0), (("s", 1),), ())
# Factors between units of one dimension: powers of ten and of 1024, shares, times, bits.
_TIMES = (1, 60, 3_600, 86_400, 24, 1_440, 604_800, 168, 10_080)
_CONVERSIONS = frozenset(
    Fraction(time * scale)
    for time in _TIMES
    for scale in (1, 100, 10**3, 10**6, 10**9, 10**12, 10**15, 8, 8_000, 8 * 1024, 1024, 1024**2, 1024**3, 1024**4)
) - {Fraction(1)}


@dataclass(frozen=True)
class Measure:
    """The units that values may be in.

    Attributes:
        units: the units, conversion aside; empty for a literal, which goes with every unit.
        label: how to call them, such as ``ms`` or ``By/s``.
        literal: the value of a literal, where it is known.
        conversion: what the values were multiplied by to convert them, unless that was to scale them.
    """

    units: frozenset[UnitMeaning]
    label: str
    literal: Fraction | None = None
    conversion: Fraction = Fraction(1)

    @property
    def possible(self) -> frozenset[UnitMeaning]:
        """All units that the values may be in."""
        converted = (replace(unit, factor=unit.factor / self.conversion) for unit in self.units)
        return self.units.union(converted)

    @property
    def is_literal(self) -> bool:
        """Whether the values are written out in the model."""
        return not self.units


LITERAL = Measure(frozenset(), "a literal")


def literal(text: str) -> Measure:
    """The measure of a number as it is written."""
    try:
        return Measure(frozenset(), text, Fraction(text.replace("_", "")))
    except ValueError:
        return LITERAL


def of_code(code: str | None) -> Measure | None:
    """The measure of a UCUM code; None where it is none."""
    found = meaning(code) if code else None
    return Measure(frozenset({found}), str(code)) if found else None


def agree(left: Measure | None, right: Measure | None) -> bool:
    """Whether the two can be added, compared and exchanged; True where one of them is not known."""
    if left is None or right is None or left.is_literal or right.is_literal:
        return True
    return any(_same(one, other) for one in left.possible for other in right.possible)


def merged(left: Measure | None, right: Measure | None) -> Measure | None:
    """The measure of what is one or the other."""
    if left is None or right is None:
        return None
    if left.is_literal:
        return replace(right, literal=None)
    if right.is_literal:
        return left
    common = frozenset(
        one if one.counts else other for one in left.possible for other in right.possible if _same(one, other)
    )
    return Measure(common, left.label) if common else None


def product(left: Measure | None, right: Measure | None, seconds: Collection[int] = ()) -> Measure | None:
    """The measure of a product.

    Args:
        left: one factor.
        right: the other.
        seconds: numbers that stand for so many seconds where they are multiplied or divided by.
    """
    return _combined(left, right, 1, seconds)


def quotient(left: Measure | None, right: Measure | None, seconds: Collection[int] = ()) -> Measure | None:
    """The measure of a quotient; see ``product``."""
    return _combined(left, right, -1, seconds)


def negated(measure: Measure | None) -> Measure | None:
    """The measure of the same values with the other sign."""
    if measure is None or measure.literal is None:
        return measure
    return replace(measure, literal=-measure.literal, label=f"-{measure.label}")


def summed(left: Measure | None, right: Measure | None, sign: int) -> Measure | None:
    """The measure of a sum or difference."""
    if left is not None and right is not None and left.literal is not None and right.literal is not None:
        return Measure(frozenset(), "a literal", left.literal + sign * right.literal)
    return merged(left, right)


def fits(measure: Measure | None, code: str) -> bool:
    """Whether values are in the unit of a UCUM code; True where one of the two is not known."""
    return agree(measure, of_code(code))


def _combined(left: Measure | None, right: Measure | None, exponent: int, seconds: Collection[int]) -> Measure | None:
    if left is None or right is None:
        return None
    if left.is_literal and right.is_literal:
        if left.literal is None or right.literal is None or (exponent < 0 and not right.literal):
            return LITERAL
        return Measure(frozenset(), "a literal", left.literal * right.literal**exponent)
    if right.is_literal:
        return _scaled(left, right.literal, exponent, seconds)
    if left.is_literal:
        base = (
            right if exponent > 0 else Measure(frozenset(_inverse(unit) for unit in right.possible), f"1/{right.label}")
        )
        return _scaled(base, left.literal, 1, seconds if exponent > 0 else ())
    if any(unit.offset for unit in left.units | right.units):
        return None
    units = frozenset(_times(one, other, exponent) for one in left.possible for other in right.possible)
    label = f"{left.label}{'.' if exponent > 0 else '/'}{right.label}"
    return Measure(units, label) if len(units) <= _MOST_UNITS else None


def _scaled(measure: Measure, number: Fraction | None, exponent: int, seconds: Collection[int]) -> Measure | None:
    if not number or any(unit.offset for unit in measure.units):
        return None
    factor = abs(number) ** exponent
    units, conversion = set(measure.units), measure.conversion
    if max(factor, 1 / factor) in _CONVERSIONS:
        conversion *= factor
    else:
        units |= {replace(unit, factor=unit.factor / factor) for unit in measure.units}
    if abs(number) in seconds:
        units |= {_times(unit, _SECOND, exponent) for unit in measure.possible}
    return Measure(frozenset(units), measure.label, None, conversion) if len(units) <= _MOST_UNITS else None


def _inverse(unit: UnitMeaning) -> UnitMeaning:
    return _times(UnitMeaning(Fraction(1), Fraction(0), (), ()), unit, -1)


def _times(left: UnitMeaning, right: UnitMeaning, exponent: int) -> UnitMeaning:
    return UnitMeaning(
        factor=left.factor * right.factor**exponent,
        offset=Fraction(0),
        dimension=_powers(left.dimension, right.dimension, exponent),
        counts=_counts(_powers(left.counts, right.counts, exponent)),
    )


def _powers(
    left: tuple[tuple[str, int], ...], right: tuple[tuple[str, int], ...], exponent: int
) -> tuple[tuple[str, int], ...]:
    powers = dict(left)
    for name, power in right:
        powers[name] = powers.get(name, 0) + power * exponent
    return tuple(sorted((name, power) for name, power in powers.items() if power))


def _counts(counts: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    """A share of a count is a count, and as many of one thing as of another are a plain ratio."""
    things = tuple((name, power) for name, power in counts if name not in _SHARES)
    if things and sum(power for _, power in things):
        return things
    return () if things else counts


def _same(left: UnitMeaning, right: UnitMeaning) -> bool:
    return (left.factor, left.offset) == (right.factor, right.offset) and left.converts_to(right)
