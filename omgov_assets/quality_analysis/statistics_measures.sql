-- What is counted in each cell of the cube, whatever its dimensions.
count(*) FILTER (outcome = 'present') AS anomalies,
count(DISTINCT instance_no) AS anomalous_instances,
coalesce(sum(severity_weight), 0)::DOUBLE AS severity_score,
coalesce(sum(impact), 0)::DOUBLE AS business_impact,
count(*) FILTER (is_new) AS new_anomalies,
count(*) FILTER (outcome = 'resolved') AS resolved_anomalies,
count(*) FILTER (outcome = 'withdrawn') AS withdrawn_anomalies,
count(*) FILTER (outcome = 'unverified') AS unverified_anomalies,
sum(open_days) AS open_days,
min(first_seen_day) FILTER (outcome = 'present') AS oldest_first_seen_day
