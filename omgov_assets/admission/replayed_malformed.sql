-- Replayed records that have no columns, or keys that today's contract does not know: number, code, sentence, text.
SELECT
    _record_no,
    CASE
        WHEN object IS NULL THEN reasons[1]
        WHEN len(unexpected) > 0 THEN 'unexpected_key'
        ELSE 'duplicate_key'
    END AS code,
    CASE
        WHEN object IS NULL THEN reason
        WHEN len(unexpected) > 0 THEN 'keys outside the contract: ' || array_to_string(list_transform(list_sort(unexpected), lambda key: if($guarded, left(key, 1) || '***', key)), ', ')
        ELSE 'keys stand twice: '
            || array_to_string(
                list_sort(list_distinct(list_filter(keys, lambda key: len(list_filter(keys, lambda k: k = key)) > 1))),
                ', '
            )
    END AS sentence,
    payload
FROM judged_keys
WHERE object IS NULL OR len(unexpected) > 0 OR is_twice
ORDER BY _record_no
