-- What the points of a day were like: one row for each series and slot, and one for the series' day as a whole.
-- Reads: points (points.sql), previous (the last partition before the day).
WITH by_slot AS (
    SELECT
        system,
        subject_key,
        slot,
        any_value(source_metric) AS source_metric,
        count(judged) AS points,
        median(judged) AS middle,
        1.4826 * mad(judged) AS spread,
        min(judged) AS minimum,
        max(judged) AS maximum
    FROM points
    GROUP BY system, subject_key, slot
),
-- How far the extremes of the day lay from what the bands in force took for usual, slot by slot.
distances AS (
    SELECT
        by_slot.system,
        by_slot.subject_key,
        max(maximum - (center + drift)) AS up_daily,
        max(center + drift - minimum) AS down_daily,
        max(maximum - (center_of_kind + drift)) AS up_weekly,
        max(center_of_kind + drift - minimum) AS down_weekly
    FROM by_slot
    JOIN (
        SELECT
            slots.system,
            slots.subject_key,
            slots.slot,
            slots.center,
            CASE WHEN $day_kind = 'open' THEN slots.center_open ELSE slots.center_closed END AS center_of_kind,
            coalesce(days.slope_per_day, 0) * ($day::DATE - days.day - 1) AS drift
        FROM previous AS slots
        JOIN previous AS days
            ON days.subject_kind = 'instance'
                AND days.slot = 'day'
                AND days.system = slots.system
                AND days.subject_key = slots.subject_key
        WHERE slots.subject_kind = 'instance' AND slots.slot <> 'day'
    ) AS centers
        ON centers.system = by_slot.system
            AND centers.subject_key = by_slot.subject_key
            AND centers.slot = by_slot.slot
    WHERE by_slot.points > 0
    GROUP BY by_slot.system, by_slot.subject_key
),
-- Equal values in a row: a run ends where the value changes.
runs AS (
    SELECT system, subject_key, max(length) AS flat_points
    FROM (
        SELECT system, subject_key, count(*) AS length
        FROM (
            SELECT
                system,
                subject_key,
                count(*) FILTER (NOT is_repeated) OVER (
                    PARTITION BY system, subject_key ORDER BY observed_at, finite_value ROWS UNBOUNDED PRECEDING
                ) AS run
            FROM points
            WHERE finite_value IS NOT NULL
        )
        GROUP BY system, subject_key, run
    )
    GROUP BY system, subject_key
),
by_day AS (
    SELECT
        system,
        subject_key,
        any_value(source_metric) AS source_metric,
        count(judged) AS points,
        median(judged) AS middle,
        1.4826 * mad(judged) AS spread,
        min(judged) AS minimum,
        max(judged) AS maximum,
        median(step_s) AS step_s,
        max(step_s) AS longest_step_s,
        bool_or(is_counter) AS is_counter
    FROM points
    GROUP BY system, subject_key
)
SELECT
    system,
    subject_key,
    slot,
    source_metric,
    points,
    middle,
    spread,
    minimum,
    maximum,
    NULL::DOUBLE AS step_s,
    NULL::DOUBLE AS longest_step_s,
    NULL::BIGINT AS flat_points,
    NULL::BOOLEAN AS is_counter,
    NULL::DOUBLE AS up_daily,
    NULL::DOUBLE AS down_daily,
    NULL::DOUBLE AS up_weekly,
    NULL::DOUBLE AS down_weekly
FROM by_slot
UNION ALL BY NAME
SELECT
    by_day.system,
    by_day.subject_key,
    'day' AS slot,
    source_metric,
    points,
    middle,
    spread,
    minimum,
    maximum,
    step_s,
    longest_step_s,
    flat_points,
    is_counter,
    up_daily,
    down_daily,
    up_weekly,
    down_weekly
FROM by_day
LEFT JOIN runs ON runs.system = by_day.system AND runs.subject_key = by_day.subject_key
LEFT JOIN distances ON distances.system = by_day.system AND distances.subject_key = by_day.subject_key
