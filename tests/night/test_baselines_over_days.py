"""Dynamic baselines over days of the sample firm: what befalls its series is found, and nothing that looks like it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_management.collection import collect_system
from omgov_assets.model_management.governance import load_governance
from omgov_assets.quality_policy.dynamic_baselines.learning import learn_baselines
from omgov_assets.quality_policy.evaluation import evaluate_dataset
from omgov_assets.quality_policy.policies import load_policy_set
from omgov_assets.quality_policy.violations import VIOLATIONS
from omgov_assets.sample_firm.generate import generate_firm

DATASET = "metric_samples"
# A Friday; what needs history comes on the Wednesday after.
FIRST_DAY = date(2026, 11, 13)
DAYS = 7
NEED_HISTORY = {"sample_out_of_band", "sample_level_shift", "sample_unit_jump"}


@pytest.mark.long
def test_every_night_finds_what_befell_the_series_and_nothing_else(tmp_path: Path, project_root: Path) -> None:
    settings = Settings(home=tmp_path, project=project_root)
    generate_firm(tmp_path, definitions=300, instances=10_000, days=DAYS, first_day=FIRST_DAY, seed=11)
    governance = load_governance(project_root)
    lake = Lake(settings.lake, settings.dataset_contracts)
    found_at_all: set[str] = set()
    for number in range(DAYS):
        day = FIRST_DAY + timedelta(days=number)
        for name, system in governance.systems.items():
            if DATASET in system.datasets:
                collect_system(settings, lake, governance, system, day, [DATASET])
                results = evaluate_dataset(lake, governance, load_policy_set(project_root, name, DATASET), day)
                assert {result.verdict for result in results} <= {"passed", "failed"}
        learn_baselines(lake, governance, day)
        with lake.connect() as con:
            lake.register(con, "violations", VIOLATIONS, day)
            # The gate's own violations are no policies of samples.
            query = (
                "SELECT DISTINCT anomaly_type, system, subject_key FROM violations WHERE anomaly_type LIKE 'sample%'"
            )
            found = set(con.execute(query).fetchall())
        with duckdb.connect() as own:
            truth = set(
                own.execute(
                    f"SELECT anomaly_type, system, subject_key FROM '{tmp_path}/truth/{day}.parquet' "
                    f"WHERE dataset = '{DATASET}'"
                ).fetchall()
            )
        assert (sorted(found - truth), sorted(truth - found)) == ([], []), day
        found_at_all |= {kind for kind, *_ in found}
    assert found_at_all >= NEED_HISTORY | {
        "sample_flat_line",
        "sample_gap",
        "sample_clock_step",
        "sample_counter_reset",
    }
