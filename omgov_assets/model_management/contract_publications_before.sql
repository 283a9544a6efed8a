-- The last publication of each contract up to a day.
-- Binds: day. Reads: publications (control/data_contracts of all days).
SELECT p.*
FROM publications AS p
JOIN (
    SELECT system, dataset, max(day) AS day
    FROM publications
    WHERE day <= $day
    GROUP BY ALL
) AS last USING (system, dataset, day)
ORDER BY p.system, p.dataset
