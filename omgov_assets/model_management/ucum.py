"""What a UCUM code means: its scale, its dimension and what it counts.

Belongs here: the part of UCUM that O&M data speaks, read exactly (fractions, no floats). Does not belong
here: how systems spell units (`units.py`).

`ucumvert` parses the grammar, `pint` does the arithmetic of dimensions on the definitions below. UCUM as a
whole is not taken over, because most of its atoms are traps here: `B` is the bel, `b` the barn, `C` the
coulomb, `G` the gauss and `a` the year, and a tool that writes one of them never means that. An atom not
listed is no unit.

Two things UCUM leaves open are decided here:

- An annotation that stands for itself, as in `{order}/s`, says what is counted. Different things do not
  convert (`{order}` to `{request}`); the bare `1` does not say what it counts and converts to each of them.
  `%` and `[ppm]` are shares: they convert to each other and to `1`, but not to a count.
- An annotation behind a unit, as in `%{used}`, is a remark without meaning, as in UCUM itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

# UCUM atom: its definition in pint's language, where a name holds no bracket, `%` or `*`. Information, angle
# and level have a dimension of their own, so that bytes, degrees and decibels do not pass for plain numbers.
_ATOMS = {
    "s": "s = [time]",
    "min": "min = 60 * s",
    "h": "h = 3600 * s",
    "d": "d = 86400 * s",
    "wk": "wk = 604800 * s",
    "Hz": "Hz = 1 / s",
    "bit": "bit = [information]",
    "By": "By = 8 * bit",
    "m": "m = [length]",
    "g": "g = [mass]",
    "K": "K = [temperature]",
    "Cel": "Cel = K; offset: 27315 / 100",
    "[degF]": "degF = 5 / 9 * K; offset: 45967 / 180",
    "A": "A = [current]",
    "N": "N = 1000 * g * m / s ** 2",
    "J": "J = N * m",
    "W": "W = J / s",
    "V": "V = W / A",
    "Ohm": "Ohm = V / A",
    "Pa": "Pa = N / m ** 2",
    "bar": "bar = 100000 * Pa",
    "[psi]": "psi = 44482216152605 / 6451600000 * Pa",
    "deg": "deg = [angle]",
    "%": "percent = 1 / 100",
    "[ppth]": "ppth = 1 / 1000",
    "[ppm]": "ppm = 1 / 1000000",
    "[ppb]": "ppb = 1 / 1000000000",
    "10*": "ten = 10",
    "10^": "ten_ = 10",
    "dB": "dB = [level]",
}
_SHARES = frozenset({"%", "[ppth]", "[ppm]", "[ppb]"})
_SHARE = "%"
_POWERS_OF_TEN = {
    "n": -9,
    "u": -6,
    "m": -3,
    "c": -2,
    "d": -1,
    "h": 2,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
}
_POWERS_OF_1024 = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4}
_PREFIXES = {
    **{prefix: Fraction(10) ** power for prefix, power in _POWERS_OF_TEN.items()},
    **{prefix: Fraction(1024) ** power for prefix, power in _POWERS_OF_1024.items()},
}
# Every word that a code may hold outside its annotations: most spellings fail here, far cheaper than in the
# parser.
_WORDS = frozenset({"", "*", "^", *_ATOMS, *(prefix + atom for prefix in _PREFIXES for atom in _ATOMS)})
_BETWEEN_WORDS = re.compile(r"[./()+\-0-9]+")
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_LONGEST_CODE = 64
_GREATEST_EXPONENT = 18


@dataclass(frozen=True)
class UnitMeaning:
    """A unit reduced to base units: base value = value * factor + offset.

    Attributes:
        factor: size of the unit in base units.
        offset: base value of zero; other than 0 for temperatures on a scale only.
        dimension: base units with their exponents, sorted.
        counts: what is counted, with exponents, sorted; empty when the unit does not say.
    """

    factor: Fraction
    offset: Fraction
    dimension: tuple[tuple[str, int], ...]
    counts: tuple[tuple[str, int], ...]

    def converts_to(self, other: UnitMeaning) -> bool:
        """Whether a value in this unit can be expressed in the other."""
        return self.dimension == other.dimension and (
            self.counts == other.counts or not self.counts or not other.counts
        )


@lru_cache(maxsize=8192)
def meaning(code: str) -> UnitMeaning | None:
    """The meaning of a UCUM code; None if it is not UCUM or no unit of O&M data."""
    if len(code) > _LONGEST_CODE or not code.isascii() or (code.isdigit() and code != "1"):
        return None
    if not _WORDS.issuperset(_BETWEEN_WORDS.split(_ANNOTATION.sub("/", code))):
        return None
    return _reader().read(code)


@cache
def _reader() -> _Reader:
    return _Reader()


class _NoUnitError(Exception):
    """An atom, a prefix or an exponent that no unit of O&M data has."""


@dataclass(frozen=True)
class _Term:
    """A unit under construction: a pint quantity and what it counts, with exponents."""

    quantity: Any
    counts: dict[str, int]

    def times(self, other: _Term, exponent: int) -> _Term:
        counts = dict(self.counts)
        for name, power in other.counts.items():
            counts[name] = counts.get(name, 0) + power * exponent
        return _Term(self.quantity * other.quantity**exponent, {name: power for name, power in counts.items() if power})


class _Reader:
    """Parser and registry, made on first use: the libraries take 0.2 s to import."""

    def __init__(self) -> None:
        import pint
        import ucumvert  # type: ignore[import-untyped] # ships no types

        self._registry: Any = pint.UnitRegistry(None, non_int_type=Fraction)
        for definition in _ATOMS.values():
            self._registry.define(definition)
        self._names = {atom: definition.partition(" = ")[0] for atom, definition in _ATOMS.items()}
        self._parser = ucumvert.get_ucum_parser()
        self._parse = ucumvert.parse_ucum
        self._no_unit = (_NoUnitError, ucumvert.InvalidUcumError, pint.OffsetUnitCalculusError)

    def read(self, code: str) -> UnitMeaning | None:
        try:
            term = self._walk(self._parse(code, self._parser))
            zero = self._registry.Quantity(Fraction(0), term.quantity.units).to_root_units()
            one = term.quantity.to_root_units()
        except self._no_unit:
            return None
        return UnitMeaning(
            factor=Fraction(one.magnitude) - Fraction(zero.magnitude),
            offset=Fraction(zero.magnitude),
            dimension=tuple(sorted((name, int(power)) for name, power in one.unit_items())),
            counts=tuple(sorted(term.counts.items())),
        )

    def _walk(self, node: Any) -> _Term:
        """Reduce a node of the parse tree; the rule names are those of ucumvert's grammar."""
        rule = getattr(node, "data", None)
        if rule is None:
            return self._annotation(str(node))
        children = node.children
        match str(rule):
            case "main_term":
                unit = self._walk(children[-1])
                return self._number(1).times(unit, -1) if len(children) > 1 else unit
            case "term":
                left, operator, right = children
                return self._walk(left).times(self._walk(right), 1 if operator == "." else -1)
            case "component":
                unit = self._walk(children[0])
                counts_nothing = unit.quantity.dimensionless and not unit.counts
                return _Term(unit.quantity, {str(children[1]): 1}) if counts_nothing else unit
            case "annotatable":
                exponent = int(children[1])
                if abs(exponent) > _GREATEST_EXPONENT:
                    raise _NoUnitError
                return self._number(1).times(self._walk(children[0]), exponent)
            case _:
                return self._simple_unit(children)

    def _simple_unit(self, children: list[Any]) -> _Term:
        *prefixes, atom = (str(child) for child in children)
        if children[-1].type == "FACTOR":
            return self._number(int(atom))
        prefix = prefixes[0] if prefixes else ""
        if (prefix, atom) == ("d", "B"):
            prefix, atom = "", "dB"
        if atom not in self._names or (prefix and (atom == "Cel" or prefix not in _PREFIXES)):
            raise _NoUnitError
        scale = _PREFIXES[prefix] if prefix else Fraction(1)
        return _Term(self._registry.Quantity(scale, self._names[atom]), {_SHARE: 1} if atom in _SHARES else {})

    def _annotation(self, text: str) -> _Term:
        if text == "{}":
            raise _NoUnitError
        return _Term(self._registry.Quantity(Fraction(1)), {text: 1})

    def _number(self, value: int) -> _Term:
        return _Term(self._registry.Quantity(Fraction(value)), {})
