-- The partition of a day: what its points were like, and the bands learned from the days up to it.
-- Reads: history (the summary columns of the last partitions, those of the day among them), previous (the last partition
-- before the day).
WITH days AS (
    SELECT * FROM history WHERE slot = 'day' AND points >= $minimum_points
),
-- A new level begins where the middles of some days in a row lie beyond the extremes of a usual day, on one side, the first of
-- them came at once, and they agree: what goes there step by step is a trend.
last_days AS (
    SELECT
        system,
        subject_key,
        max(day) AS last_day,
        min(day) AS first_day,
        count(*) AS days,
        min(middle) AS lowest,
        max(middle) AS highest,
        arg_min(middle, day) AS first_middle,
        arg_min(middle_before, day) AS middle_before
    FROM (
        SELECT
            *,
            lag(middle) OVER (PARTITION BY system, subject_key ORDER BY day) AS middle_before,
            row_number() OVER (PARTITION BY system, subject_key ORDER BY day DESC) AS age
        FROM days
    )
    WHERE age <= $level_shift_days
    GROUP BY system, subject_key
),
levels AS (
    SELECT
        last_days.system,
        last_days.subject_key,
        CASE
            WHEN last_days.days = $level_shift_days
                AND last_day = $day::DATE
                AND first_day > coalesce(previous.level_since, '-infinity'::DATE)
                AND (lowest > level + level_up OR highest < level - level_down)
                AND abs(first_middle - coalesce(middle_before, level)) >= 0.5 * abs(first_middle - level)
                AND highest - lowest <= 0.5 * abs(first_middle - level)
                THEN first_day
            ELSE previous.level_since
        END AS level_since
    FROM last_days
    LEFT JOIN previous
        ON previous.subject_kind = 'instance'
            AND previous.slot = 'day'
            AND previous.system = last_days.system
            AND previous.subject_key = last_days.subject_key
),
-- Days of the present level; age 0 is the day after this one.
present AS (
    SELECT days.*, ($day::DATE + 1 - days.day)::DOUBLE AS age, level_since
    FROM days
    JOIN levels ON levels.system = days.system AND levels.subject_key = days.subject_key
    WHERE level_since IS NULL OR days.day >= level_since
),
-- Theil–Sen: the median of the slopes between any two days. It moves no further than its days agree on.
slopes AS (
    SELECT a.system, a.subject_key, median((b.middle - a.middle) / (a.age - b.age)) AS slope
    FROM present AS a
    JOIN present AS b ON b.system = a.system AND b.subject_key = a.subject_key AND b.day > a.day
    GROUP BY a.system, a.subject_key
    HAVING count(*) >= 21
),
trends AS (
    SELECT
        present.system,
        present.subject_key,
        CASE
            WHEN abs(any_value(slope)) * (max(age) - min(age))
                > $trend_gain * greatest(1.4826 * mad(middle + slope * age), 0.25 * median(spread))
                THEN any_value(slope)
            ELSE 0
        END AS slope_per_day
    FROM present
    JOIN slopes ON slopes.system = present.system AND slopes.subject_key = present.subject_key
    GROUP BY present.system, present.subject_key
),
-- Every day as it would be the day after this one.
moved AS (
    SELECT present.*, coalesce(slope_per_day, 0) AS slope_per_day, coalesce(slope_per_day, 0) * age AS move
    FROM present
    LEFT JOIN trends ON trends.system = present.system AND trends.subject_key = present.subject_key
),
whole AS (
    SELECT
        system,
        subject_key,
        max(level_since) AS level_since,
        max(slope_per_day) AS slope_per_day,
        count(*) AS days,
        count(*) FILTER (day_kind = 'open') AS open_days,
        count(*) FILTER (day_kind = 'closed') AS closed_days,
        median(middle + move) AS level,
        median(maximum + move) - median(middle + move) AS up_flat,
        median(middle + move) - median(minimum + move) AS down_flat,
        $spread_floor * median(spread) AS floor_flat,
        median(up_daily) AS up_daily,
        median(down_daily) AS down_daily,
        count(up_daily) AS judged_daily,
        median(up_weekly) AS up_weekly,
        median(down_weekly) AS down_weekly,
        count(up_weekly) AS judged_weekly,
        median(step_s) AS usual_step_s,
        median(longest_step_s) AS usual_longest_step_s,
        median(flat_points) AS usual_flat_points,
        avg(is_counter::INTEGER) > 0.5 AS usual_counter
    FROM moved
    GROUP BY system, subject_key
),
centers AS (
    SELECT
        history.system,
        history.subject_key,
        history.slot,
        median(middle + move) AS center,
        median(middle + move) FILTER (day_kind = 'open') AS center_open,
        median(middle + move) FILTER (day_kind = 'closed') AS center_closed,
        -- Where a slot has one point a day, its spread is that from day to day.
        sqrt(median(spread) ** 2 + (1.4826 * mad(middle + move)) ** 2) AS spread_of_slot,
        sqrt(median(spread) ** 2 + coalesce(1.4826 * mad(middle + move) FILTER (day_kind = 'open'), 0) ** 2)
            AS spread_of_kind
    FROM history
    JOIN (SELECT system, subject_key, day, move FROM moved) AS moved
        ON moved.system = history.system AND moved.subject_key = history.subject_key AND moved.day = history.day
    WHERE slot <> 'day' AND points > 0
    GROUP BY history.system, history.subject_key, history.slot
),
floors AS (
    SELECT
        system,
        subject_key,
        $spread_floor * median(spread_of_slot) AS floor_daily,
        $spread_floor * median(spread_of_kind) AS floor_weekly
    FROM centers
    GROUP BY system, subject_key
),
-- The season that explains most, where it explains enough.
shaped AS (
    SELECT
        *,
        CASE WHEN judged_daily >= $minimum_days THEN up_daily + down_daily END AS width_daily,
        CASE WHEN judged_weekly >= $minimum_days THEN up_weekly + down_weekly END AS width_weekly,
        CASE
            -- Most days are open ones, so that a season of the week shows on few: it need only be no worse.
            WHEN width_weekly <= 1.1 * coalesce(width_daily, 'infinity')
                AND width_weekly < $seasonal_gain * (up_flat + down_flat)
                AND least(open_days, closed_days) >= $minimum_days
                THEN 'weekly'
            WHEN width_daily < $seasonal_gain * (up_flat + down_flat) THEN 'daily'
            ELSE 'flat'
        END AS season
    FROM whole
    LEFT JOIN floors USING (system, subject_key)
),
reaching AS (
    SELECT
        *,
        CASE season WHEN 'flat' THEN floor_flat WHEN 'daily' THEN floor_daily ELSE floor_weekly END AS least,
        greatest(CASE season WHEN 'flat' THEN up_flat WHEN 'daily' THEN up_daily ELSE up_weekly END, least) AS up_found,
        greatest(CASE season WHEN 'flat' THEN down_flat WHEN 'daily' THEN down_daily ELSE down_weekly END, least)
            AS down_found
    FROM shaped
),
banded AS (
    SELECT
        *,
        -- A series that never went beyond one side is given on it what it has on the other; one that never varied has no
        -- band, since nothing is known of how far it may go. What differs by a millionth is one number, computed twice.
        1e-6 * abs(level) AS one_number,
        CASE
            WHEN days < $minimum_days THEN NULL
            WHEN up_found > one_number THEN up_found
            WHEN down_found > one_number THEN down_found
        END AS reach_up,
        CASE
            WHEN days < $minimum_days THEN NULL
            WHEN down_found > one_number THEN down_found
            WHEN up_found > one_number THEN up_found
        END AS reach_down
    FROM reaching
),
subjects AS (
    SELECT system, subject_key, slot, max_by(source_metric, day) AS source_metric
    FROM history
    GROUP BY system, subject_key, slot
),
of_instances AS (
    SELECT
        'instance' AS subject_kind,
        subjects.system,
        subjects.subject_key,
        subjects.slot,
        subjects.source_metric,
        coalesce(today.points, 0) AS points,
        today.middle,
        today.spread,
        today.minimum,
        today.maximum,
        today.step_s,
        today.longest_step_s,
        today.flat_points,
        today.is_counter,
        today.up_daily,
        today.down_daily,
        today.up_weekly,
        today.down_weekly,
        centers.center,
        centers.center_open,
        centers.center_closed,
        NULL::BIGINT AS instances,
        days,
        open_days,
        closed_days,
        level,
        greatest(up_flat, floor_flat) AS level_up,
        greatest(down_flat, floor_flat) AS level_down,
        level_since,
        slope_per_day,
        season,
        reach_up,
        reach_down,
        usual_step_s,
        usual_longest_step_s,
        usual_flat_points,
        usual_counter
    FROM subjects
    LEFT JOIN history AS today
        ON today.day = $day
            AND today.system = subjects.system
            AND today.subject_key = subjects.subject_key
            AND today.slot = subjects.slot
    LEFT JOIN banded
        ON subjects.slot = 'day' AND banded.system = subjects.system AND banded.subject_key = subjects.subject_key
    LEFT JOIN centers
        ON centers.system = subjects.system
            AND centers.subject_key = subjects.subject_key
            AND centers.slot = subjects.slot
),
-- What all instances of a metric have in common, for those that have no history yet.
of_metrics AS (
    SELECT
        'metric' AS subject_kind,
        system,
        source_metric AS subject_key,
        'day' AS slot,
        source_metric,
        0::BIGINT AS points,
        count(*) AS instances,
        min(days) AS days,
        median(level) AS level,
        nullif(max(level + reach_up) - median(level), 0) AS reach_up,
        nullif(median(level) - min(level - reach_down), 0) AS reach_down,
        median(usual_step_s) AS usual_step_s,
        median(usual_longest_step_s) AS usual_longest_step_s,
        max(usual_flat_points) AS usual_flat_points,
        avg(usual_counter::INTEGER) > 0.5 AS usual_counter
    FROM of_instances
    WHERE slot = 'day' AND reach_up IS NOT NULL AND source_metric IS NOT NULL
    GROUP BY system, source_metric
    HAVING count(*) >= $cold_start_instances
)
SELECT $day::DATE AS day, *, $day_kind AS day_kind, $rules_hash AS rules_hash, $data_versions AS data_versions
FROM (FROM of_instances UNION ALL BY NAME FROM of_metrics)
ORDER BY subject_kind, system, subject_key, slot
