"""Processing models: versioned SQL with a YAML header.

A ``conform`` model turns a source dataset into the standard dataset, one row for a record at most; a ``derive`` model
(``governance/derived_metrics/<metric>.sql``) computes a metric of the standard from others. Does not belong here:
running a model (``admission``) or checking its meaning (``model_check``).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omgov_assets.model_management.documents import content_hash, parse, parse_yaml, read_text
from omgov_assets.model_management.errors import GovernanceError

DERIVED = "derived_metrics"
# What stands for a business system where a derived metric has none.
DERIVED_SYSTEM = "derived"

_KEY = re.compile(r"(?P<indent>\s*)(?P<name>[\w'\"]+)\s*:(?P<rest>.*)")
_FLOW_KEY = re.compile(r"[{,]\s*(?P<name>[\w'\"]+)\s*:")
_HEADER = re.compile(r"\A\s*/\*\s*---\s*\n(?P<header>.*?)\n\s*---\s*\*/(?P<sql>.*)\Z", re.DOTALL)


class ModelHeader(BaseModel):
    """The YAML header of a model.

    Attributes:
        kind: ``conform`` or ``derive``.
        dataset: standard dataset that the model gives rows of.
        version: version of the model.
        owner: e-mail of the person who answers for it.
        description: what it does, for people.
        units: UCUM unit by output column, where the model promises one.
        quarantine_without: conform alone: required columns that the model leaves empty on purpose; a record without one
            of them is quarantined.
        metric: derive alone: the metric of the standard that it computes.
        interval_s: derive alone: seconds between two values.
        window_s: derive alone: seconds of input that a value is computed from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["conform", "derive"]
    dataset: str
    version: str
    owner: str
    description: str
    units: dict[str, str] = {}
    quarantine_without: tuple[str, ...] = ()
    metric: str | None = None
    interval_s: int | None = Field(default=None, gt=0)
    window_s: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> Self:
        given = [name for name in ("metric", "interval_s", "window_s") if getattr(self, name) is not None]
        if self.kind == "conform" and given:
            raise ValueError(f"{', '.join(given)}: only a derive model has these")
        if self.kind == "derive" and self.quarantine_without:
            raise ValueError("quarantine_without: only a conform model has records that can be quarantined")
        if self.kind == "derive" and len(given) < 3:
            raise ValueError("a derive model says metric, interval_s and window_s")
        return self


class ProcessingModel(BaseModel):
    """A processing model as it was read: header, SQL, where in the file the SQL begins, a hash of both.

    Attributes:
        first_line: line of the file, from 1, that the SQL begins in.
        first_column: column of that line, from 1.
        header_lines: line of the file by key of the header; those of ``units`` as ``units.<column>``.
    """

    model_config = ConfigDict(frozen=True)

    header: ModelHeader
    sql: str
    first_line: int
    first_column: int = 1
    header_lines: dict[str, int] = {}
    content_hash: str
    path: Path


def load_processing_model(path: Path, faults: list[GovernanceError] | None = None) -> ProcessingModel:
    """Read a ``<dataset>.sql`` or, of kind ``derive``, a ``<metric>.sql``.

    Args:
        path: file of the model.
        faults: if given, takes the error of a model that cannot be read, and an empty model stands in for it.

    Raises:
        GovernanceError: missing file, no or malformed header, or a dataset or metric other than the file's name.
    """
    if faults is None:
        return _read(path)
    try:
        return _read(path)
    except GovernanceError as error:
        faults.append(error)
        return _stand_in(path)


def header_lines(text: str) -> dict[str, int]:
    """Line by key of a model's header, also of one that is no valid YAML; those of ``units`` as ``units.<column>``."""
    lines: dict[str, int] = {}
    outer = ""
    end = text.find("*/")
    for number, line in enumerate(text[: end if end >= 0 else len(text)].split("\n"), 1):
        found = _KEY.match(line)
        if found is None:
            continue
        name = found["name"].strip("'\"")
        if found["indent"]:
            lines.setdefault(f"{outer}.{name}", number)
        else:
            outer = name
            lines.setdefault(name, number)
            for inner in _FLOW_KEY.finditer(found["rest"]) if found["rest"].lstrip().startswith("{") else ():
                lines.setdefault(f"{outer}.{inner['name'].strip(chr(39) + chr(34))}", number)
    return lines


def _read(path: Path) -> ProcessingModel:
    text = read_text(path)
    match = _HEADER.match(text)
    if match is None:
        raise GovernanceError(path, "header", "no YAML header", "begin the file with /* --- … --- */")
    document = parse_yaml(match["header"], path, first_line=text.count("\n", 0, match.start("header")) + 1)
    header = parse(ModelHeader, document, path, "header")
    kind = "derive" if path.parent.name == DERIVED else "conform"
    if header.kind != kind:
        raise GovernanceError(path, "header.kind", f"says {header.kind!r}", f"say {kind!r} in this folder")
    named, said = ("metric", header.metric) if kind == "derive" else ("dataset", header.dataset)
    if said != path.stem:
        raise GovernanceError(path, f"header.{named}", f"says {said!r}", f"say {path.stem!r}, as the file")
    sql = match["sql"]
    begin = match.start("sql") + len(sql) - len(sql.lstrip())
    return ProcessingModel(
        header=header,
        sql=sql.strip().removesuffix(";"),
        first_line=text.count("\n", 0, begin) + 1,
        first_column=begin - text.rfind("\n", 0, begin),
        header_lines=header_lines(text),
        content_hash=content_hash(text),
        path=path,
    )


def _stand_in(path: Path) -> ProcessingModel:
    """An empty model in the place of one that cannot be read, so that all others still have their place."""
    derive = path.parent.name == DERIVED
    header = ModelHeader(
        kind="derive" if derive else "conform",
        dataset="metric_samples" if derive else path.stem,
        version="",
        owner="",
        description="",
        metric=path.stem if derive else None,
        interval_s=1 if derive else None,
        window_s=1 if derive else None,
    )
    return ProcessingModel(header=header, sql="", first_line=1, content_hash="", path=path)
