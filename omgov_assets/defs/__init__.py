"""Floor 9: the parts of the Dagster graph that every firm has, named by what they hold.

Business systems are not here: each is a component declared in ``governance/systems/``.
"""
