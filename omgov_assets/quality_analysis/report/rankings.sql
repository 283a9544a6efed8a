-- The first ranks of every dimension, with the number of keys that it has.
SELECT
    dimension, rank, key, label, anomalies, instances, rate, rate_lower_bound, severity_score, change,
    count(*) OVER (PARTITION BY dimension) AS keys
FROM rankings
QUALIFY rank <= $top
ORDER BY dimension, rank
