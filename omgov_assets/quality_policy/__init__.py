"""Floor 2: quality policies. Runs Great Expectations suites on the lake: verdicts and violations.

The only room that imports Great Expectations, and only inside the functions that evaluate. Does not belong here: what
violations mean for the firm (``quality_analysis``).
"""
