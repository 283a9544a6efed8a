"""What a derive model reads, and which rows may be kept from it: only those that it would drop itself."""

from __future__ import annotations

import pytest

from omgov_assets.data_lake.syntax import NotOneSelectError
from omgov_assets.data_management.derivation_reads import reads_of

DATASETS = ("metric_samples", "metric_instances", "configuration_items")
METRICS = ("a", "b", "c")
AB = {"a", "b"}

# SQL, and the metrics whose samples it needs; None for all.
NEEDED: list[tuple[str, set[str] | None]] = [
    ("FROM metric_samples WHERE metric = 'a'", {"a"}),
    ("FROM metric_samples WHERE 'a' = metric AND value > 0", {"a"}),
    ("FROM metric_samples AS s WHERE s.metric IN ('a', 'b')", {"a", "b"}),
    ("FROM Metric_Samples AS S WHERE s.METRIC = 'a'", {"a"}),
    ("FROM metric_samples WHERE metric = 'a' OR metric = 'b'", {"a", "b"}),
    ("FROM metric_samples WHERE metric = 'a' OR value > 0", None),
    ("FROM metric_samples WHERE metric <> 'a'", None),
    ("FROM metric_samples WHERE metric NOT IN ('a')", None),
    ("FROM metric_samples WHERE NOT (metric = 'a')", None),
    ("FROM metric_samples WHERE metric LIKE 'a%'", None),
    ("FROM metric_samples WHERE metric = ci_id", None),
    ("FROM metric_samples WHERE metric IN ('a', ci_id)", None),
    ("FROM metric_samples WHERE metric IN (SELECT 'a')", None),
    ("FROM metric_samples WHERE source = 'a'", None),
    ("SELECT count(*) FILTER (metric = 'a') FROM metric_samples", None),
    ("SELECT max(CASE WHEN metric = 'a' THEN value END) FROM metric_samples", None),
    ("SELECT metric FROM metric_samples GROUP BY metric HAVING metric = 'a'", None),
    ("FROM metric_samples QUALIFY row_number() OVER (ORDER BY value) = 1 AND metric = 'a'", None),
    ("WITH s AS (FROM metric_samples WHERE metric = 'a') FROM s", {"a"}),
    ("WITH s AS (FROM metric_samples) FROM s WHERE metric = 'a'", None),
    ("WITH metric_samples AS (FROM metric_samples WHERE metric = 'a') FROM metric_samples WHERE metric = 'b'", AB),
    ("FROM metric_samples WHERE metric = 'a' UNION ALL FROM metric_samples WHERE metric = 'b'", {"a", "b"}),
    ("FROM metric_samples WHERE metric = 'a' UNION ALL FROM metric_samples", None),
    ("FROM (FROM metric_samples WHERE metric = 'a') WHERE value > (SELECT max(value) FROM metric_samples)", None),
    ("FROM metric_samples x, metric_samples y WHERE x.metric = 'a' AND y.metric = 'b'", {"a", "b"}),
    ("FROM metric_samples x JOIN metric_samples y ON x.ci_id = y.ci_id AND y.metric = 'b' WHERE x.metric = 'a'", AB),
    ("FROM metric_samples x JOIN metric_samples y ON x.ci_id = y.ci_id WHERE x.metric = 'a'", None),
    ("FROM configuration_items i LEFT JOIN metric_samples s ON s.ci_id = i.ci_id AND s.metric = 'a'", {"a"}),
    ("FROM metric_samples s LEFT JOIN configuration_items i ON s.ci_id = i.ci_id AND s.metric = 'a'", None),
    ("FROM configuration_items i RIGHT JOIN metric_samples s ON s.ci_id = i.ci_id AND s.metric = 'a'", None),
    ("FROM configuration_items i FULL JOIN metric_samples s ON s.ci_id = i.ci_id AND s.metric = 'a'", None),
    ("FROM metric_samples s FULL JOIN configuration_items i USING (ci_id) WHERE s.metric = 'a'", {"a"}),
    ("FROM configuration_items i ANTI JOIN metric_samples s ON s.ci_id = i.ci_id AND s.metric = 'a'", {"a"}),
    ("FROM metric_samples x SEMI JOIN metric_samples y USING (ci_id) WHERE metric = 'a'", None),
    ("FROM metric_samples x JOIN metric_samples y USING (ci_id, metric) WHERE metric = 'a'", {"a"}),
    ("FROM metric_samples x ASOF JOIN metric_samples y ON x.observed_at >= y.observed_at WHERE y.metric = 'a'", None),
    ("FROM metric_samples x POSITIONAL JOIN metric_samples y WHERE x.metric = 'a' AND y.metric = 'a'", None),
    ("FROM metric_samples TABLESAMPLE 10% WHERE metric = 'a'", None),
    ("FROM metric_samples AS s(metric, ci_id) WHERE metric = 'a'", None),
    ("FROM (FROM metric_samples WHERE metric = 'a') PIVOT (max(value) FOR ci_id IN ('H'))", {"a"}),
    ("FROM metric_samples PIVOT (max(value) FOR metric IN ('a'))", None),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "needed"), NEEDED)
def test_rows_are_kept_from_a_model_only_where_it_drops_them_itself(sql: str, needed: set[str] | None) -> None:
    assert reads_of(sql, DATASETS, METRICS).needed == {"metric_samples": needed}


def test_datasets_and_metrics_are_found_wherever_they_stand() -> None:
    sql = """
        WITH ratio AS (SELECT ci_id, max(value) FILTER (metric = 'a') AS v FROM metric_samples GROUP BY ci_id)
        SELECT * FROM ratio
        WHERE EXISTS (SELECT 1 FROM "Configuration_Items" AS c WHERE c.ci_id = ratio.ci_id)
            AND v > (SELECT avg(value_mean) FROM metric_instances JOIN (VALUES ('b')) AS w(metric) USING (metric))
            AND 'z' <> 'c'
    """
    reads = reads_of(sql, DATASETS, METRICS)
    assert reads.datasets == {"metric_samples", "metric_instances", "configuration_items"}
    assert reads.metrics == {"a", "b", "c"}
    assert reads.needed == {"metric_samples": None, "metric_instances": None}


@pytest.mark.parametrize(
    "sql", ["", "SELECT 1; SELECT 2", "DROP TABLE metric_samples", "SELECT FROM", "COPY (SELECT 1) TO 'x'", "SET x = 1"]
)
def test_what_is_not_one_select_is_said_to_be_so(sql: str) -> None:
    with pytest.raises(NotOneSelectError):
        reads_of(sql, DATASETS, METRICS)


def test_reading_a_model_opens_no_file() -> None:
    assert reads_of("FROM read_csv('/nowhere/at/all.csv')", DATASETS, METRICS).datasets == frozenset()
