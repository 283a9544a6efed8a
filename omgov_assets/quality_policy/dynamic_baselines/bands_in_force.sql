-- Which band holds for each series of the judged day in each slot of it; null bounds where none does.
-- Reads: judged_series (system, instance_id, source_metric), slots (minute, slot), learned (the partition in force).
WITH day_slots AS (
    SELECT DISTINCT slot FROM dynamic_baselines.slots
),
of_instances AS (
    SELECT * FROM dynamic_baselines.learned WHERE subject_kind = 'instance' AND slot = 'day'
),
of_slots AS (
    SELECT * FROM dynamic_baselines.learned WHERE subject_kind = 'instance' AND slot <> 'day'
),
of_metrics AS (
    SELECT * FROM dynamic_baselines.learned WHERE subject_kind = 'metric'
),
chosen AS (
    SELECT
        judged_series.instance_id,
        day_slots.slot,
        CASE
            WHEN own.reach_up IS NOT NULL
                -- Of the first days on which the exchanges are closed nothing is known.
                AND (CASE WHEN $day_kind = 'open' THEN own.open_days ELSE own.closed_days END) >= least(2, $minimum_days)
                THEN own.season
            WHEN own.reach_up IS NULL AND coalesce(own.days, 0) < $minimum_days AND common.level IS NOT NULL THEN 'population'
        END AS learned_from,
        CASE learned_from
            WHEN 'flat' THEN own.level
            WHEN 'daily' THEN coalesce(of_slots.center, own.level)
            WHEN 'weekly'
                THEN coalesce(
                    CASE WHEN $day_kind = 'open' THEN of_slots.center_open ELSE of_slots.center_closed END,
                    of_slots.center,
                    own.level
                )
            WHEN 'population' THEN common.level
        END + coalesce(own.slope_per_day, 0) * ($day::DATE - own.day - 1) AS own_center,
        coalesce(own_center, common.level) AS center,
        CASE WHEN learned_from = 'population' THEN common.reach_up ELSE own.reach_up END AS reach_up,
        CASE WHEN learned_from = 'population' THEN common.reach_down ELSE own.reach_down END AS reach_down,
        coalesce(own.usual_step_s, common.usual_step_s) AS usual_step_s,
        coalesce(own.usual_longest_step_s, common.usual_longest_step_s) AS usual_longest_step_s,
        coalesce(own.usual_flat_points, common.usual_flat_points) AS usual_flat_points,
        coalesce(own.usual_counter, common.usual_counter) AS usual_counter
    FROM dynamic_baselines.judged_series
    CROSS JOIN day_slots
    LEFT JOIN of_instances AS own
        ON own.system = judged_series.system AND own.subject_key = judged_series.instance_id
    LEFT JOIN of_slots
        ON of_slots.system = judged_series.system
            AND of_slots.subject_key = judged_series.instance_id
            AND of_slots.slot = day_slots.slot
    LEFT JOIN of_metrics AS common
        ON common.system = judged_series.system AND common.subject_key = judged_series.source_metric
)
SELECT
    instance_id,
    slot,
    learned_from,
    CASE WHEN learned_from IS NOT NULL THEN center END AS center,
    CASE WHEN learned_from IS NOT NULL THEN center - $band_width * reach_down END AS band_low,
    CASE WHEN learned_from IS NOT NULL THEN center + $band_width * reach_up END AS band_high,
    usual_step_s,
    usual_longest_step_s,
    usual_flat_points,
    usual_counter
FROM chosen
