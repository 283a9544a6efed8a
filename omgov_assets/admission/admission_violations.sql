-- Violations of the gate for one dataset of one day: refused records and batches, and how the deliveries came: not at
-- all, late, repeated, with unusually few or many records.
WITH entries AS (
    SELECT * FROM ledger WHERE system = $system AND dataset = $dataset
),
received AS (
    SELECT
        count(*) > 0 AS is_any,
        sum(rows_in) AS records,
        max(received_at) AS last_at,
        max_by(file_name, received_at) AS last_file,
        max(data_version) AS data_version
    FROM entries
    WHERE decision IN ('admitted', 'partial')
),
repeated AS (
    SELECT count(*) AS files, min(reason) AS reason
    FROM entries
    WHERE decision = 'repeated'
),
-- Earlier days: those of the same weekday, else, where these are too few, of the same part of the week.
earlier AS (
    SELECT
        day,
        sum(rows_in) AS records,
        dayofweek(day) = dayofweek($day::DATE) AS is_same_weekday,
        (dayofweek(day) IN (0, 6)) = (dayofweek($day::DATE) IN (0, 6)) AS is_same_part
    FROM ledger_history
    WHERE system = $system
        AND dataset = $dataset
        AND decision IN ('admitted', 'partial')
        AND day < $day::DATE
        AND day >= $day::DATE - 7 * $weeks
    GROUP BY day
),
comparable AS (
    SELECT records
    FROM earlier
    WHERE CASE
        WHEN (SELECT count(*) FILTER (is_same_weekday) FROM earlier) >= $minimum_days THEN is_same_weekday
        ELSE is_same_part AND (SELECT count(*) FILTER (is_same_part) FROM earlier) >= $minimum_days + 2
    END
),
usual AS (
    SELECT
        median(records) AS middle,
        greatest($tolerance * median(records), 3 * 1.4826 * mad(records)) AS width
    FROM comparable
    HAVING count(*) > 0
),
found AS (
    SELECT
        $refused_record AS policy_id,
        'refused_record' AS anomaly_type,
        'conformity' AS quality_dimension,
        'warning' AS severity,
        'row' AS subject_kind,
        q._batch_id || ':' || q._record_no AS subject_key,
        array_to_string(q.reasons, ', ') AS observed,
        'a record that meets the source contract' AS expected,
        q._batch_id AS batch_id,
        q._record_no AS record_no,
        e.contract_hash AS policy_hash,
        e.data_version
    FROM quarantine AS q
    JOIN entries AS e ON e.batch_id = q._batch_id AND e.decision IN ('admitted', 'partial')
    UNION ALL BY NAME
    SELECT
        $refused_batch AS policy_id,
        'refused_batch' AS anomaly_type,
        'conformity' AS quality_dimension,
        'critical' AS severity,
        'batch' AS subject_kind,
        e.batch_id AS subject_key,
        e.reason AS observed,
        'a delivery that meets the source contract' AS expected,
        e.batch_id,
        NULL::BIGINT AS record_no,
        e.contract_hash AS policy_hash,
        e.data_version
    FROM entries AS e
    WHERE e.decision = 'refused'
    UNION ALL BY NAME
    SELECT
        $not_delivered AS policy_id,
        'not_delivered' AS anomaly_type,
        'timeliness' AS quality_dimension,
        'critical' AS severity,
        'dataset' AS subject_kind,
        $dataset AS subject_key,
        'nothing was delivered' AS observed,
        concat('a delivery for every day', ' by ' || $due) AS expected,
        NULL::VARCHAR AS batch_id,
        NULL::BIGINT AS record_no,
        NULL::VARCHAR AS policy_hash,
        NULL::BIGINT AS data_version
    WHERE NOT EXISTS (FROM entries)
    UNION ALL BY NAME
    SELECT
        $late_delivery AS policy_id,
        'late_delivery' AS anomaly_type,
        'timeliness' AS quality_dimension,
        'warning' AS severity,
        'dataset' AS subject_kind,
        $dataset AS subject_key,
        printf(
            '%s came %d h %02d min late',
            parse_filename(last_file),
            date_sub('hour', $due_at::TIMESTAMPTZ, last_at),
            date_sub('minute', $due_at::TIMESTAMPTZ, last_at) % 60
        ) AS observed,
        'a delivery by ' || $due AS expected,
        NULL::VARCHAR AS batch_id,
        NULL::BIGINT AS record_no,
        NULL::VARCHAR AS policy_hash,
        data_version
    FROM received
    WHERE is_any AND last_at > $due_at::TIMESTAMPTZ
    UNION ALL BY NAME
    SELECT
        $repeated_delivery AS policy_id,
        'repeated_delivery' AS anomaly_type,
        'uniqueness' AS quality_dimension,
        'warning' AS severity,
        'dataset' AS subject_kind,
        $dataset AS subject_key,
        reason || if(files > 1, concat(' (and ', files - 1, ' more)'), '') AS observed,
        'each file once' AS expected,
        NULL::VARCHAR AS batch_id,
        NULL::BIGINT AS record_no,
        NULL::VARCHAR AS policy_hash,
        NULL::BIGINT AS data_version
    FROM repeated
    WHERE files > 0
    UNION ALL BY NAME
    SELECT
        $unusual_row_count AS policy_id,
        if(records < middle, 'fewer_rows_than_usual', 'more_rows_than_usual') AS anomaly_type,
        'completeness' AS quality_dimension,
        'warning' AS severity,
        'dataset' AS subject_kind,
        $dataset AS subject_key,
        records || ' records' AS observed,
        printf(
            'between %d and %d records, as on earlier days of this kind',
            greatest(0, ceil(middle - width))::BIGINT,
            floor(middle + width)::BIGINT
        ) AS expected,
        NULL::VARCHAR AS batch_id,
        NULL::BIGINT AS record_no,
        NULL::VARCHAR AS policy_hash,
        data_version
    FROM received
    CROSS JOIN usual
    WHERE is_any AND abs(records - middle) > width
)
SELECT
    $day::DATE AS day,
    $system AS system,
    $dataset AS dataset,
    policy_id,
    anomaly_type,
    quality_dimension,
    severity,
    subject_kind,
    subject_key,
    NULL::VARCHAR AS column_name,
    observed,
    expected,
    NULL::VARCHAR AS source_metric,
    NULL::VARCHAR AS metric,
    NULL::VARCHAR AS ci_id,
    NULL::VARCHAR AS collector,
    batch_id,
    record_no,
    policy_hash,
    data_version
FROM found
