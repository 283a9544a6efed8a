"""A simulated securities firm with known defects.

Belongs here: what business systems and the CMDB of an invented firm deliver on a day, and the truth about it.
Does not
belong here: anything of the pipeline; this package imports nothing of omgov outside its own folder, so that
its truth cannot share a mistake with the code that is measured against it.
"""
