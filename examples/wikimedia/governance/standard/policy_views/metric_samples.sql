-- What policies on metric_samples see beside the row itself: its identity as one text, and whether it lies in the day.
SELECT
    s.*,
    s.instance_id || '|' || epoch_us(s.observed_at) AS sample_key,
    s.observed_at >= getvariable('day_start') AND s.observed_at < getvariable('day_end') AS is_of_the_day
FROM dataset AS s
