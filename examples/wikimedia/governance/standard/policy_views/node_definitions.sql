-- What policies on node_definitions see beside the row itself: a comma between brackets, where it is one of the characters.
SELECT
    n.*,
    if(regexp_matches(n.node_selector, '\[[^\]]*,[^\]]*\]'), n.node_selector, NULL) AS selector_with_stray_comma
FROM dataset AS n
