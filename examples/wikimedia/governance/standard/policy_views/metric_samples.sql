-- What policies on metric_samples see beside the row itself: its identity as one text, whether it lies in the day, and the band
-- of normal values that its dynamic baseline gives for its time.
SELECT
    s.*,
    s.instance_id || '|' || epoch_us(s.observed_at) AS sample_key,
    s.observed_at >= getvariable('day_start') AND s.observed_at < getvariable('day_end') AS is_of_the_day,
    band.band_low,
    band.band_high,
    band.learned_from AS band_learned_from,
    band.usual_step_s
FROM dataset AS s
LEFT JOIN dynamic_baselines.slots AS of_day ON of_day.minute = epoch_us(s.observed_at) // 60000000
LEFT JOIN dynamic_baselines.bands AS band ON band.instance_id = s.instance_id AND band.slot = of_day.slot
