"""Floor 1: loads and validates what the firm decides in `governance/`.

Belongs here: contracts, standard metric definitions, units, metric mappings, baselines and processing models
as checked, immutable objects; every mistake in a file becomes a `GovernanceError` that names file, key and
remedy. Does not belong here: running anything on data, and Dagster.
"""
