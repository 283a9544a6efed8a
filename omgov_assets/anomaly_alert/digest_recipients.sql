-- One row for each open member of a case, and each member of a case that the night closed, and each owner or support group
-- that it is for. Reads: cases, members, identified, configuration_items, owners, support_groups. $day: business day.
CREATE OR REPLACE TEMP TABLE of_recipients AS
-- Who has left the firm, or is not known, cannot be told: the support group is, or the office.
WITH people AS (
    SELECT
        owner_id,
        bool_or(coalesce(active, true)) AS is_reachable,
        any_value(support_group_id ORDER BY _batch_id, _record_no) AS support_group_id
    FROM owners
    WHERE owner_id IS NOT NULL
    GROUP BY owner_id
),
known_groups AS (
    SELECT DISTINCT support_group_id FROM support_groups WHERE support_group_id IS NOT NULL
),
groups_of_cis AS (
    SELECT ci_id, any_value(support_group_id ORDER BY _batch_id, _record_no) AS support_group_id
    FROM configuration_items
    GROUP BY ci_id
),
concerned AS (
    SELECT
        members.case_id,
        members.anomaly_id,
        status <> 'closed' AS is_open,
        members.anomaly_type,
        members.severity,
        members.added_day,
        members.state_day = $day::DATE AS is_new,
        members.is_unverified,
        status = 'waived' OR members.waiver_id IS NOT NULL AS is_waived,
        members.owner_id,
        cases.assigned_to,
        -- Whom a case was given to answers for all of it; else everybody for their own, and who leads the case for what
        -- is nobody's.
        CASE
            WHEN responsible_kind = 'assigned' THEN responsible
            ELSE coalesce(known_groups.support_group_id, responsible)
        END AS support_group_id
    FROM members
    JOIN cases USING (case_id)
    LEFT JOIN identified USING (anomaly_id)
    LEFT JOIN groups_of_cis ON groups_of_cis.ci_id = members.ci_id
    LEFT JOIN people ON people.owner_id = members.owner_id
    LEFT JOIN known_groups
        ON known_groups.support_group_id
            = coalesce(identified.support_group_id, groups_of_cis.support_group_id, people.support_group_id)
    WHERE (members.state = 'open' AND status NOT IN ('closed', 'merged'))
        OR (status = 'closed' AND closed_day = $day::DATE)
)
SELECT concerned.*, 'owner' AS recipient_kind, owner_id AS recipient
FROM concerned
SEMI JOIN (FROM people WHERE is_reachable) USING (owner_id)
UNION ALL
-- Who works on a case is told of all of it, where the CMDB knows them.
SELECT concerned.*, 'owner' AS recipient_kind, assigned_to AS recipient
FROM concerned
SEMI JOIN (FROM people WHERE is_reachable) AS workers ON workers.owner_id = concerned.assigned_to
WHERE assigned_to IS DISTINCT FROM owner_id
UNION ALL
SELECT concerned.*, 'support_group' AS recipient_kind, support_group_id AS recipient
FROM concerned
SEMI JOIN known_groups USING (support_group_id)
UNION ALL
-- What neither an owner nor a group can be told of.
SELECT concerned.*, NULL AS recipient_kind, NULL AS recipient
FROM concerned
ANTI JOIN (FROM people WHERE is_reachable) USING (owner_id)
ANTI JOIN (FROM people WHERE is_reachable) AS workers ON workers.owner_id = concerned.assigned_to
ANTI JOIN known_groups USING (support_group_id)
