-- What a partition holds, in figures. Reads: written (the partition of the day), previous (the last one before it).
WITH series AS (
    SELECT
        written.*,
        written.level_since IS NOT NULL AND written.level_since IS DISTINCT FROM previous.level_since AS has_new_level
    FROM written
    LEFT JOIN previous
        ON previous.subject_kind = 'instance'
            AND previous.slot = 'day'
            AND previous.system = written.system
            AND previous.subject_key = written.subject_key
    WHERE written.subject_kind = 'instance' AND written.slot = 'day'
)
SELECT
    count(*) FILTER (points > 0),
    count(*),
    count(reach_up),
    count(reach_up) FILTER (season <> 'flat'),
    count(*) FILTER (has_new_level),
    (SELECT count(*) FROM written WHERE subject_kind = 'metric'),
    (SELECT count(*) FROM written)
FROM series
