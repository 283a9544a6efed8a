"""What a check of a processing model found: the shape that the command, the gate, the asset check and violations share.

Does not belong here: finding it (``model_check`` without data, ``admission.model_trial`` with data).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning", "info"]


@dataclass(frozen=True, order=True)
class ModelFinding:
    """A fault of a processing model.

    Attributes:
        path: file of the model, relative to the project.
        line: line in the file, from 1.
        column: column in the line, from 1.
        code: stable code, such as ``unknown_column``.
        severity: ``critical`` keeps the model from running.
        problem: what is wrong, in a sentence with the names.
        remedy: what to do, as an imperative.
        model: ``<system>/<dataset>``, or the metric of a derive model.
        owner: e-mail of the model's owner.
    """

    path: str
    line: int
    column: int
    code: str
    severity: Severity
    problem: str
    remedy: str
    model: str
    owner: str
