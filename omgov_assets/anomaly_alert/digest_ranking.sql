-- Owners and support groups by what there is to do for them. Reads: of_recipients.
SELECT recipient_kind, recipient
FROM of_recipients
WHERE recipient IS NOT NULL
GROUP BY recipient_kind, recipient
ORDER BY
    count(*) FILTER (is_open AND NOT is_waived) DESC,
    count(*) FILTER (is_open) DESC,
    recipient_kind,
    recipient
