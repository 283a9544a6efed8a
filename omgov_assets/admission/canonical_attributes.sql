-- Each distinct attribute set with its canonical JSON text: keys sorted, no spaces; equal sets are equal texts.
SELECT DISTINCT
    attributes,
    to_json(map_from_entries(list_sort(map_entries(attributes))))::VARCHAR AS canonical
FROM (SELECT DISTINCT attributes FROM conformed)
