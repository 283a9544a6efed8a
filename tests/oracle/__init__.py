"""Oracles: what the right answer is, counted without omgov.

Belongs here: functions that count findings from raw files with the standard library (or DuckDB), by a logic
of their own. Nothing here imports the package, its governance files or its suites;
`test_an_oracle_knows_nothing_of_omgov` holds that.

A finding is told as `Findings`: for each system, dataset and anomaly type the subject keys of the failing
rows, one per row. Rows with the same key are one anomaly.
"""

from __future__ import annotations

Findings = dict[tuple[str, str, str], list[str]]
