"""How business systems spell units, and how values convert between them.

Belongs here: the table of spellings (`governance/standard/unit_spellings.yaml`), the status of a unit and the
conversion between two. Does not belong here: what a UCUM code means (`ucum.py`), and converting data.

A spelling is looked up in the table first and read as UCUM second; case and inner spaces count, outer spaces
do not. Nothing is guessed: a spelling found in neither is unknown, and one with two meanings is in neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from omgov_assets.model_management.documents import read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.ucum import meaning

UnitStatus = Literal["ok", "missing", "unknown", "incompatible"]


# UCUM's metre; but tools write it for minutes, too.
_AMBIGUOUS_CODES = frozenset({"m"})


@dataclass(frozen=True)
class Conversion:
    """Value in the target unit = value in the source unit * factor + offset; each is the nearest double."""

    factor: float
    offset: float


class UnitTable:
    """The units of a firm: its spellings and UCUM.

    Args:
        spellings: spelling to UCUM code, both without outer spaces; a code unknown to `meaning` is no unit.
    """

    def __init__(self, spellings: Mapping[str, str]) -> None:
        self._codes: dict[str, str | None] = {key: _canonical(code) for key, code in spellings.items()}

    @classmethod
    def load(cls, path: Path) -> UnitTable:
        """Read a YAML file with the single key `spellings`, a mapping of spelling to UCUM code.

        Raises:
            GovernanceError: the file cannot be read, a spelling stands there twice, is no text or contradicts
                UCUM, or a code is not UCUM.
        """
        document = read_yaml(path)
        if not isinstance(document, dict) or not isinstance(document.get("spellings"), dict):
            raise GovernanceError(path, "spellings", "is not a mapping", "write `spellings:` with one unit a line")
        for key in document:
            if key != "spellings":
                raise GovernanceError(path, str(key), "the key is not known", "remove it or move it under `spellings`")
        for spelling, code in document["spellings"].items():
            _check_entry(path, spelling, code)
        return cls(document["spellings"])

    def ucum(self, spelling: str | None) -> str | None:
        """The canonical UCUM code of a spelling; None if it is missing or unknown."""
        if spelling is None:
            return None
        text = spelling.strip()
        if not text:
            return None
        if text in self._codes:
            return self._codes[text]
        return None if text in _AMBIGUOUS_CODES else _canonical(text)

    def status(self, spelling: str | None, standard_unit: str | None) -> UnitStatus:
        """What is wrong with a unit, if anything.

        Args:
            spelling: the unit as the system spells it.
            standard_unit: UCUM code of the standard metric's unit; None if the metric is not mapped.
        """
        if spelling is None or not spelling.strip():
            return "missing"
        code = self.ucum(spelling)
        if code is None:
            return "unknown"
        if standard_unit is not None and self.conversion(code, standard_unit) is None:
            return "incompatible"
        return "ok"

    def conversion(self, from_ucum: str, to_ucum: str) -> Conversion | None:
        """How to convert a value between two UCUM codes; None if they measure or count different things."""
        return _conversion(from_ucum, to_ucum)


@lru_cache(maxsize=8192)
def _conversion(from_ucum: str, to_ucum: str) -> Conversion | None:
    source, target = meaning(from_ucum), meaning(to_ucum)
    if source is None or target is None or not source.converts_to(target):
        return None
    return Conversion(
        factor=float(source.factor / target.factor),
        offset=float((source.offset - target.offset) / target.factor),
    )


def _canonical(code: str) -> str | None:
    """The one way to write a UCUM code: a rate of something unnamed is `1/s`, not `/s`."""
    if meaning(code) is None:
        return None
    return f"1{code}" if code.startswith("/") else code


def _check_entry(path: Path, spelling: object, code: object) -> None:
    key = f"spellings.{spelling}"
    if not isinstance(spelling, str):
        raise GovernanceError(path, key, "YAML does not read the spelling as text", "put it in quotes")
    if not spelling or spelling != spelling.strip():
        raise GovernanceError(path, key, "the spelling is empty or has outer spaces", "write it without")
    if not isinstance(code, str):
        raise GovernanceError(path, key, f"{code!r} is not text", 'write a UCUM code, such as By or "%", in quotes')
    if meaning(code) is None:
        raise GovernanceError(
            path,
            key,
            f"{code!r} is not a UCUM code of O&M data",
            "write one, such as By, ms, 1/s or {request}",
        )
    if meaning(spelling) not in (None, meaning(code)):
        raise GovernanceError(
            path, key, f"the spelling is itself a UCUM code and does not mean {code!r}", "remove the entry"
        )
