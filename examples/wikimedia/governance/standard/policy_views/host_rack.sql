-- What policies on host_rack see beside the row itself: the rack under the name of its fault. The estate's own notation is
-- row and number (A2); others name the row alone (A, a), a path (/eqiad/A/2), or something that only its setting understands.
WITH written AS (
    SELECT
        *,
        CASE
            WHEN regexp_full_match(rack, '[A-Z][0-9]+') THEN 'row_and_number'
            WHEN regexp_full_match(rack, '[A-Za-z]') THEN 'row'
            WHEN regexp_full_match(rack, '/[a-z]+/[A-Z]/[0-9]+') THEN 'path'
            ELSE 'unknown'
        END AS notation
    FROM dataset
)
SELECT
    *,
    if(notation = 'row', rack, NULL) AS rack_as_row,
    if(notation = 'path', rack, NULL) AS rack_as_path,
    if(notation = 'unknown', rack, NULL) AS rack_not_understood
FROM written
