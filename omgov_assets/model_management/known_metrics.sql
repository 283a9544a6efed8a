-- The metrics of the view `definitions`: source_metric, source_unit, display_name, description, instrument.
-- A metric that is defined twice counts once, by the record that came first.
SELECT source_metric, source_unit, display_name, description, instrument
FROM definitions
QUALIFY row_number() OVER (PARTITION BY source_metric ORDER BY _batch_id, _record_no) = 1
ORDER BY source_metric
