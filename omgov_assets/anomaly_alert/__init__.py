"""Floor 7: who is told of what the night found, when and how often, so that no alert is lost and nobody drowns.

Belongs here: alerts, grouping, routing, inhibition, silences, digests, the outbox and the sending. Does not belong
here: finding what is wrong (``quality_analysis``), working on it (``exception_management``), or noticing that a run
failed (the Dagster face).
"""
