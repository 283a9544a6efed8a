-- Entries of a batch, the one that counts first.
SELECT *
FROM ledger
ORDER BY
    list_position(['admitted', 'partial', 'refused', 'superseded', 'repeated'], decision),
    system,
    dataset,
    file_name
