-- Owners of what a case holds open, those of most first, with their names as the reader sees them.
SELECT owner_id, coalesce(any_value(label), '') AS name
FROM members
LEFT JOIN labels ON kind = 'owner' AND key = owner_id
WHERE state = 'open' AND owner_id IS NOT NULL
GROUP BY owner_id
ORDER BY count(*) DESC, owner_id
LIMIT $top
