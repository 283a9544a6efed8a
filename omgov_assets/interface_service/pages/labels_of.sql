-- Names of keys.
SELECT kind, key, label FROM labels WHERE list_contains($keys::VARCHAR[], key) ORDER BY kind, key
