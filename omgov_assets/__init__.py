"""omgov: the O&M data governance platform of a securities firm, as a Dagster asset graph over a Delta lake.

One sub-package per room of the house; a room imports only from lower floors (see `docs/`). Nothing but this
docstring belongs here: importing the package must cost nothing.
"""
