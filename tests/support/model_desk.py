"""A project to write one processing model at a time in, beside the repository's contracts, standard and mappings."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from omgov_assets.model_management.model_check import ModelReport, check_project

CONFORM = "securities_trading/metric_samples"
# A metric of the standard that no system delivers; the fixture adds it.
DERIVED = "app.request.failed.utilization"
_METRIC = """
owner: observability@example.com
metrics:
  - {{metric: {metric}, brief: Made., unit: "{unit}", instrument: gauge, value_type: double, interval_s: {interval_s},
     ci_classes: [application], grade: {grade}}}
"""


class Desk:
    """A project to write models in, and to check them."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self._before: dict[Path, str] = {}

    def restore(self) -> None:
        """Undo what a test wrote."""
        for path, text in self._before.items():
            path.write_text(text, "utf-8")
        shutil.rmtree(self.project / "governance" / "derived_metrics", ignore_errors=True)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text of a file of the project."""
        file = self.project / path
        text = file.read_text("utf-8")
        self._before.setdefault(file, text)
        assert old in text
        file.write_text(text.replace(old, new), "utf-8")

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        file = self.project / path
        if file.is_file():
            self._before.setdefault(file, file.read_text("utf-8"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")

    def standard_metric(self, metric: str = DERIVED, unit: str = "%", interval_s: int = 60, grade: int = 1) -> None:
        """Put the metric into the standard that the next derive model computes."""
        text = _METRIC.format(metric=metric, unit=unit, interval_s=interval_s, grade=grade)
        self.write("governance/standard/metric_definitions/made.yaml", text)

    def derive(self, sql: str, metric: str = DERIVED, header: str = "", window_s: int = 600) -> None:
        """Write a derive model; its SQL begins in line 12."""
        lines = [
            "kind: derive",
            "dataset: metric_samples",
            "version: 1.0.0",
            "owner: a@example.com",
            "description: Made.",
        ]
        lines += [f"metric: {metric}", "interval_s: 60", f"window_s: {window_s}", header or "# nothing more"]
        text = "/* ---\n" + "\n".join(lines) + "\n--- */\n" + sql
        self.write(f"governance/derived_metrics/{metric}.sql", text)

    def conform(self, sql: str, header: str = "# nothing more", name: str = CONFORM) -> None:
        """Write a conform model; its SQL begins in line 9."""
        system, _, dataset = name.partition("/")
        lines = ["kind: conform", f"dataset: {dataset}", "version: 1.0.0", "owner: a@example.com", "description: Made."]
        text = "/* ---\n" + "\n".join([*lines, header]) + "\n--- */\n" + sql
        self.write(f"governance/systems/{system}/{dataset}.sql", text)

    def report(self, *only: str, **more: Any) -> ModelReport:
        """Check the models of these names."""
        return check_project(self.project, only=only, **more)

    def found(self, *only: str, **more: Any) -> list[tuple[str, int]]:
        """Code and line of each finding, those that say only what was not looked at included."""
        return [(finding.code, finding.line) for finding in self.report(*only, **more).findings]

    def of_derive(self, sql: str, **more: Any) -> list[str]:
        """Codes of the findings on a derive model."""
        self.derive(sql, **more)
        return [code for code, _ in self.found(DERIVED)]

    def of_conform(self, sql: str, **more: Any) -> list[str]:
        """Codes of the findings on a conform model."""
        self.conform(sql, **more)
        return [code for code, _ in self.found(CONFORM)]
