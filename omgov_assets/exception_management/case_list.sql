-- Cases of a day that meet the filters; a filter that is null or empty holds nothing back.
WITH meant AS (
    SELECT DISTINCT case_id
    FROM members
    WHERE ($system::VARCHAR IS NULL OR system = $system)
        AND ($group::VARCHAR IS NULL OR (responsible = $group AND state = 'open'))
        AND (
            $application_id::VARCHAR IS NULL
            OR (list_contains(application_ids::JSON::VARCHAR[], $application_id) AND state = 'open')
        )
        AND ($ci_id::VARCHAR IS NULL OR (ci_id = $ci_id AND state = 'open'))
        AND ($policy_id::VARCHAR IS NULL OR (list_contains(policy_ids::JSON::VARCHAR[], $policy_id) AND state = 'open'))
)
SELECT * EXCLUDE (day, last_seq, rules_hash, data_versions)
FROM cases
WHERE (len($case_ids::VARCHAR[]) = 0 OR list_contains($case_ids::VARCHAR[], case_id))
    AND CASE
        WHEN len($statuses::VARCHAR[]) > 0 THEN list_contains($statuses::VARCHAR[], status)
        -- Who names a case wants to see it whatever it is.
        ELSE len($case_ids::VARCHAR[]) > 0 OR status NOT IN ('closed', 'merged')
    END
    AND (len($severities::VARCHAR[]) = 0 OR list_contains($severities::VARCHAR[], severity))
    AND ($responsible::VARCHAR IS NULL OR responsible = $responsible)
    AND (
        $owner_id::VARCHAR IS NULL
        OR assigned_to = $owner_id
        OR case_id IN (SELECT case_id FROM members WHERE owner_id = $owner_id AND state = 'open')
    )
    AND ($anomaly_type::VARCHAR IS NULL OR anomaly_type = $anomaly_type)
    AND ($cause_id::VARCHAR IS NULL OR cause_id = $cause_id)
    AND ($is_overdue::BOOLEAN IS NULL OR is_overdue = $is_overdue)
    AND (
        coalesce($system::VARCHAR, $ci_id::VARCHAR, $policy_id::VARCHAR, $group::VARCHAR, $application_id::VARCHAR) IS NULL
        OR case_id IN (SELECT case_id FROM meant)
    )
ORDER BY
    is_overdue DESC,
    list_position(['critical', 'warning', 'info'], severity),
    open_members DESC,
    case_id
