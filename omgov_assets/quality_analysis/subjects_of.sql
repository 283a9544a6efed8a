-- The subjects of scorecards that whatever has these dimensions counts for: a list of (subject_kind, subject_key).
CREATE OR REPLACE TEMP MACRO subjects_of(system, support_group_id, owner_id, site_id, application_ids) AS list_filter(
    list_concat(
        [
            {subject_kind: 'firm', subject_key: 'all'},
            {subject_kind: 'system', subject_key: system},
            {subject_kind: 'support_group', subject_key: support_group_id},
            {subject_kind: 'owner', subject_key: owner_id},
            {subject_kind: 'site', subject_key: site_id}
        ],
        list_transform(
            coalesce(application_ids, []::VARCHAR[]),
            lambda application_id: {subject_kind: 'application', subject_key: application_id}
        )
    ),
    lambda subject: subject.subject_key IS NOT NULL
)
