-- What policies on service_catalog see beside the row itself: whether the pool that the service points to has hosts.
SELECT
    s.*,
    (s.conftool_cluster || '/' || s.conftool_service) IN (SELECT source_ci_id FROM own.ci_relations) AS is_pool_known
FROM dataset AS s
