-- The points of a day as bands are learned from: in their slot of the day, with what a band is about. That is the value itself,
-- and of a counter its increments, since a counter grows without bounds. NaN and infinities are no values.
-- Reads: samples (system, instance_id, source_metric, observed_at, value), slots (minute, slot), previous (the last partition).
WITH ordered AS (
    SELECT
        system,
        instance_id,
        source_metric,
        slot,
        observed_at,
        CASE WHEN isfinite(value) THEN value END AS finite_value,
        lag(observed_at) OVER series AS observed_before,
        lag(CASE WHEN isfinite(value) THEN value END) OVER series AS value_before
    FROM samples
    JOIN slots ON slots.minute = epoch_us(samples.observed_at) // 60000000
    WINDOW series AS (PARTITION BY system, instance_id ORDER BY observed_at, value)
),
counters AS (
    SELECT
        ordered.system,
        instance_id,
        any_value(previous.usual_counter) AS usual_counter,
        count(value_before) >= $minimum_points
            AND count(*) FILTER (finite_value > value_before) >= 0.8 * count(value_before)
            AND count(*) FILTER (finite_value < value_before) <= greatest(1, 0.02 * count(value_before)) AS is_counter
    FROM ordered
    LEFT JOIN previous
        ON previous.subject_kind = 'instance'
            AND previous.slot = 'day'
            AND previous.system = ordered.system
            AND previous.subject_key = ordered.instance_id
    GROUP BY ordered.system, instance_id
)
SELECT
    ordered.system AS system,
    ordered.instance_id AS subject_key,
    source_metric,
    slot,
    observed_at,
    CASE
        WHEN NOT coalesce(usual_counter, is_counter) THEN finite_value
        -- After a reset nothing is known of the increment.
        WHEN finite_value >= value_before THEN finite_value - value_before
    END AS judged,
    finite_value,
    nullif(epoch_us(observed_at) - epoch_us(observed_before), 0) / 1e6 AS step_s,
    finite_value IS NOT NULL AND value_before IS NOT NULL AND finite_value = value_before AS is_repeated,
    is_counter
FROM ordered
JOIN counters ON counters.system = ordered.system AND counters.instance_id = ordered.instance_id
