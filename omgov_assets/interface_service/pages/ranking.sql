-- Keys of a dimension by the anomalies chosen, with those of the day before, and what the night's rankings say of rates.
WITH chosen AS (
    SELECT *
    FROM anomalies
    WHERE {condition}
),
counted AS (
    SELECT key, count(*) AS anomalies, CASE WHEN $has_before THEN count(*) FILTER (is_new) END AS new
    FROM (SELECT {keys} AS key, first_seen_day = day AS is_new FROM chosen)
    WHERE key IS NOT NULL
    GROUP BY key
),
counted_before AS (
    SELECT key, count(*) AS previous
    FROM (SELECT {keys} AS key FROM before WHERE {condition})
    WHERE key IS NOT NULL
    GROUP BY key
),
compared AS (
    SELECT
        counted.*,
        CASE WHEN $is_compared THEN coalesce(previous, 0) END AS previous,
        CASE WHEN $is_compared THEN anomalies - coalesce(previous, 0) END AS change,
        rate,
        rate_lower_bound,
        severity_score,
        coalesce(label, counted.key) AS label
    FROM counted
    LEFT JOIN counted_before USING (key)
    LEFT JOIN (
        SELECT key, rate, rate_lower_bound, severity_score
        FROM rankings
        WHERE dimension = $dimension AND $is_whole
    ) USING (key)
    LEFT JOIN (SELECT key, label FROM labels WHERE kind = $dimension) USING (key)
)
SELECT
    row_number() OVER (ORDER BY {order}) AS rank,
    *,
    count(*) OVER () AS keys,
    max(anomalies) OVER () AS most,
    (SELECT count(*) FROM chosen) AS of_all,
    (SELECT count(*) FROM chosen WHERE {has_none}) AS without
FROM compared
ORDER BY rank
LIMIT $rows
OFFSET $start
