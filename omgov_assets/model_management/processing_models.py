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
    metric: str | None = None
    interval_s: int | None = Field(default=None, gt=0)
    window_s: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> Self:
        given = [name for name in ("metric", "interval_s", "window_s") if getattr(self, name) is not None]
        if self.kind == "conform" and given:
            raise ValueError(f"{', '.join(given)}: only a derive model has these")
        if self.kind == "derive" and len(given) < 3:
            raise ValueError("a derive model says metric, interval_s and window_s")
        return self


class ProcessingModel(BaseModel):
    """A processing model as it was read: header, SQL, the line of the file that the SQL begins in, a hash of both."""

    model_config = ConfigDict(frozen=True)

    header: ModelHeader
    sql: str
    first_line: int
    content_hash: str
    path: Path


def load_processing_model(path: Path) -> ProcessingModel:
    """Read a ``<dataset>.sql`` or, of kind ``derive``, a ``<metric>.sql``.

    Raises:
        GovernanceError: missing file, no or malformed header, or a dataset or metric other than the file's name.
    """
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
    return ProcessingModel(
        header=header,
        sql=sql.strip().removesuffix(";"),
        first_line=text.count("\n", 0, match.start("sql") + len(sql) - len(sql.lstrip())) + 1,
        content_hash=content_hash(text),
        path=path,
    )
