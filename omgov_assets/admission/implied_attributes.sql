-- Adds to the delivered attributes of each record those that its metric mapping implies; the mapping is the firm's word, so
-- it wins where both name the same attribute.
CREATE OR REPLACE TEMP TABLE conformed AS
SELECT c.* REPLACE (coalesce(map_concat(c.attributes, m.attributes), c.attributes) AS attributes)
FROM conformed AS c
LEFT JOIN (SELECT DISTINCT source_metric, attributes FROM resolution WHERE attributes IS NOT NULL) AS m
    ON c.source_metric = m.source_metric
