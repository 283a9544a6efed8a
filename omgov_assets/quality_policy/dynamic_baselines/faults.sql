-- What is wrong with the points of a day: (series, observed_at, fault), each fault of a run at the point where it begins.
-- Reads: scored_points (series, observed_at, value, and batch and position: the order of delivery),
-- dynamic_baselines.bands, .slots, .rules.
--   out_of_band          a value beyond its band that is no part of a run beyond it
--   level_shift          where a run beyond one side of the band begins, long enough to be a new level
--   unit_jump            the same where the values lie in the band once divided or multiplied by a factor between units
--   flat_line            where equal values begin, of a series that usually varies
--   gap                  the point after a gap
--   duplicate_timestamp  a further point at the same time
--   clock_step           the point at which the clock was put back: delivered after later ones
--   counter_reset        the point at which a counter begins anew
WITH ordered AS (
    SELECT
        series,
        observed_at,
        batch,
        position,
        slot,
        CASE WHEN isfinite(value) THEN value END AS finite_value,
        row_number() OVER w AS number,
        (epoch_us(observed_at) - lag(epoch_us(observed_at)) OVER w) / 1e6 AS step_s,
        lag(CASE WHEN isfinite(value) THEN value END) OVER w AS value_before,
        position < lag(position) OVER w AND batch = lag(batch) OVER w AS is_out_of_order
    FROM scored_points
    -- Points of another day are judged by none.
    JOIN dynamic_baselines.slots ON slots.minute = epoch_us(observed_at) // 60000000
    WINDOW w AS (PARTITION BY series ORDER BY observed_at, position)
),
banded AS (
    SELECT
        ordered.*,
        bands.center,
        band_low,
        band_high,
        usual_counter,
        CASE
            WHEN NOT usual_counter THEN finite_value
            WHEN finite_value >= value_before THEN finite_value - value_before
        END AS judged,
        CASE WHEN judged > band_high THEN 1 WHEN judged < band_low THEN -1 ELSE 0 END AS side
    FROM ordered
    LEFT JOIN dynamic_baselines.bands ON bands.instance_id = ordered.series AND bands.slot = ordered.slot
),
scored AS MATERIALIZED (
    SELECT * FROM banded
),
learned AS (
    SELECT
        instance_id AS series,
        any_value(usual_step_s) AS usual_step_s,
        any_value(usual_longest_step_s) AS usual_longest_step_s,
        any_value(usual_flat_points) AS usual_flat_points,
        any_value(usual_counter) AS usual_counter
    FROM dynamic_baselines.bands
    GROUP BY instance_id
),
series_of_day AS (
    SELECT
        series,
        count(*) AS points,
        count(value_before) AS followed,
        count(*) FILTER (finite_value = value_before) AS repeated,
        count(*) FILTER (finite_value > value_before) AS risen,
        count(*) FILTER (finite_value < value_before) AS fallen,
        count(*) FILTER (is_out_of_order AND step_s > 0) AS out_of_order,
        max(step_s) AS longest_step_s
    FROM scored
    GROUP BY series
),
-- The day's own step is asked for only where it matters and nothing is known.
own_steps AS (
    SELECT series, median(nullif(step_s, 0)) AS step_s
    FROM scored
    WHERE series NOT IN (SELECT series FROM learned WHERE usual_step_s IS NOT NULL)
    GROUP BY series
),
usual AS (
    SELECT
        series_of_day.*,
        coalesce(usual_step_s, own_steps.step_s) AS usual_step_s,
        usual_longest_step_s,
        usual_flat_points,
        coalesce(
            usual_counter,
            followed >= minimum_points AND risen >= 0.8 * followed AND fallen <= greatest(1, 0.02 * followed)
        ) AS as_counter
    FROM series_of_day
    CROSS JOIN dynamic_baselines.rules
    LEFT JOIN learned ON learned.series = series_of_day.series
    LEFT JOIN own_steps ON own_steps.series = series_of_day.series
    WHERE points >= minimum_points
),
beyond AS (
    SELECT
        *,
        number - row_number() OVER (PARTITION BY series, side ORDER BY number) AS run
    FROM scored
    WHERE side <> 0
),
runs_beyond AS (
    SELECT
        series,
        side,
        run,
        min(observed_at) AS began_at,
        count(*) AS points,
        (epoch(max(observed_at)) - epoch(min(observed_at))) / 60 AS minutes,
        -- Of a center at zero there is no ratio.
        median(judged / nullif(center, 0)) AS ratio
    FROM beyond
    GROUP BY series, side, run
),
sustained AS (
    SELECT runs_beyond.*
    FROM runs_beyond
    CROSS JOIN dynamic_baselines.rules
    WHERE points >= sustained_points AND minutes + 1e-9 >= sustained_minutes
),
factors AS (
    SELECT unnest(list_concat(unit_factors, list_transform(unit_factors, lambda factor: 1 / factor))) AS factor
    FROM dynamic_baselines.rules
),
unit_jumps AS (
    SELECT DISTINCT sustained.series, sustained.side, sustained.run
    FROM sustained
    CROSS JOIN factors
    CROSS JOIN dynamic_baselines.rules
    JOIN beyond ON beyond.series = sustained.series AND beyond.side = sustained.side AND beyond.run = sustained.run
    WHERE abs(ratio / factor - 1) <= unit_tolerance
    GROUP BY sustained.series, sustained.side, sustained.run, factor
    -- The values must be usual ones once the factor is taken out.
    HAVING count(*) FILTER (beyond.judged / factor BETWEEN band_low AND band_high) >= 0.9 * count(*)
),
-- Equal values in a row: from one change to the next one.
changes AS (
    SELECT
        scored.series,
        observed_at,
        finite_value,
        coalesce(lead(number) OVER (PARTITION BY scored.series ORDER BY number), points + 1) - number AS length
    FROM scored
    JOIN usual ON usual.series = scored.series
    CROSS JOIN dynamic_baselines.rules
    WHERE repeated >= flat_points - 1
        AND NOT as_counter
        AND finite_value IS DISTINCT FROM value_before
),
flat_lines AS (
    SELECT changes.series, changes.observed_at
    FROM changes
    JOIN usual ON usual.series = changes.series
    JOIN (SELECT series, max(length) AS longest, max(length, 2)[2] AS second FROM changes GROUP BY series) AS lengths
        ON lengths.series = changes.series
    CROSS JOIN dynamic_baselines.rules
    WHERE changes.length >= flat_points
        AND finite_value IS NOT NULL
        -- Flat against its own days, or without any against the rest of its day.
        AND CASE
            WHEN usual_flat_points IS NOT NULL THEN changes.length >= 4 * usual_flat_points
            ELSE points - changes.length >= minimum_points AND changes.length >= 4 * coalesce(second, 1)
        END
),
-- A point that is sent again says nothing of the clock; another value at the same time was measured at another moment.
delivered AS (
    SELECT
        scored.series,
        observed_at,
        min(position) AS position,
        batch
    FROM scored
    JOIN usual ON usual.series = scored.series
    WHERE out_of_order > 0
    GROUP BY scored.series, observed_at, finite_value, batch
),
steps_back AS (
    SELECT series, observed_at, observed_at < lag(observed_at) OVER (PARTITION BY series, batch ORDER BY position) AS is_back
    FROM delivered
),
-- Where points come in no order, their order says nothing of the clock; of a few points nobody can tell (`usual` has none).
ordered_series AS (
    SELECT series
    FROM steps_back
    GROUP BY series
    HAVING count(*) FILTER (is_back) <= greatest(1, 0.02 * count(*))
)
SELECT series, observed_at, 'out_of_band' AS fault
FROM beyond
ANTI JOIN sustained USING (series, side, run)
UNION ALL
SELECT series, began_at, CASE WHEN unit_jumps.run IS NULL THEN 'level_shift' ELSE 'unit_jump' END
FROM sustained
LEFT JOIN unit_jumps USING (series, side, run)
UNION ALL
SELECT series, observed_at, 'flat_line' FROM flat_lines
UNION ALL
SELECT scored.series, observed_at, 'gap'
FROM scored
JOIN usual ON usual.series = scored.series
CROSS JOIN dynamic_baselines.rules
WHERE scored.step_s > gap_steps * usual_step_s AND scored.step_s > 1.5 * coalesce(usual_longest_step_s, 0)
UNION ALL
SELECT DISTINCT series, observed_at, 'duplicate_timestamp' FROM scored WHERE step_s = 0
UNION ALL
SELECT scored.series, observed_at, 'counter_reset'
FROM scored
JOIN usual ON usual.series = scored.series
WHERE as_counter AND finite_value < 0.5 * value_before
UNION ALL
SELECT DISTINCT series, observed_at, 'clock_step'
FROM steps_back
SEMI JOIN ordered_series USING (series)
WHERE is_back
