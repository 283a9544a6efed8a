-- The policies of a dataset as they were published for the day.
SELECT policy_id, expectation_type, expected, document, severity, quality_dimension
FROM policies
WHERE system = $system AND dataset = $dataset
ORDER BY policy_id
