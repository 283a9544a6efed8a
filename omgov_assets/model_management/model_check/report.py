"""What a check of models gives back. Does not belong here: the shape of one finding (``model_findings``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from omgov_assets.model_management.model_findings import ModelFinding


@dataclass(frozen=True)
class ModelSummary:
    """What was learned about one model.

    Attributes:
        name: ``<system>/<dataset>``, or the metric of a derive model.
        kind: ``conform`` or ``derive``.
        path: file, relative to the project.
        version: version by the header.
        owner: e-mail of the owner by the header.
        inputs: tables read, sorted; ``source`` for a conform model.
        metrics: standard metrics that a derive model names in comparisons, sorted.
        columns: name and DuckDB type of each output column; empty where DuckDB does not bind the model.
        rows_scanned: rows of a day in all scans; None where the rows of a table are not known.
    """

    name: str
    kind: Literal["conform", "derive"]
    path: str
    version: str
    owner: str
    inputs: tuple[str, ...]
    metrics: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    rows_scanned: int | None


@dataclass(frozen=True)
class ModelReport:
    """All models that were checked, and the findings sorted by path, line, column and code."""

    models: tuple[ModelSummary, ...]
    findings: tuple[ModelFinding, ...]
