"""What the page of a check shows: keys of failing subjects as plain text, whatever the data holds."""

from __future__ import annotations

import pytest
from policy_cases import policy
from small_firm import DAY

from omgov_assets.components.check_results import check_result
from omgov_assets.quality_policy.check_history import EarlierResults
from omgov_assets.quality_policy.evaluation import PolicyResult, Sample
from omgov_assets.quality_policy.policies import PolicySet


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("H1|cpu", r"`H1\|cpu`"),
        ("`</td><script>`", "`'</td><script>'`"),
        ("two\nlines | and more", r"`two lines \| and more`"),
        ("主机一", "`主机一`"),
    ],
)
def test_a_key_is_one_cell_of_the_table(key: str, shown: str) -> None:
    case = policy("p", "expect_column_values_to_not_be_null", column="unit")
    result = PolicyResult(case, "failed", 2, 1, None, 0, (Sample(key, None, "cpu"),))
    policy_set = PolicySet("system", "dataset", (case,), None, "hash")
    page = check_result(policy_set, case.meta.quality_dimension, [result], DAY, EarlierResults(None, {}))
    table = str(page.metadata["sample_keys"].value).splitlines()
    assert len(table) == 3
    assert table[2] == f"| `{case.meta.anomaly_type}` | {shown} |  | `cpu` |"
