"""Checks of processing models without data: what SQL and header say, against contracts, metric standard and units.

Does not belong here: running a model on data (``admission``).
"""

from omgov_assets.model_management.model_check.checking import (
    check_models,
    check_project,
    derive_order,
    model_names,
)
from omgov_assets.model_management.model_check.faults import CODES, severity_of
from omgov_assets.model_management.model_check.inputs import (
    InputColumn,
    InputTable,
    OutputColumn,
    input_tables,
    output_columns,
)
from omgov_assets.model_management.model_check.report import ModelReport, ModelSummary

__all__ = [
    "CODES",
    "InputColumn",
    "InputTable",
    "ModelReport",
    "ModelSummary",
    "OutputColumn",
    "check_models",
    "check_project",
    "derive_order",
    "input_tables",
    "model_names",
    "output_columns",
    "severity_of",
]
