"""REST v1: governed rows of every dataset, what analysis has found by name, and acts on cases.

``routes`` puts it together. Belongs here: what a question looks like, and an answer. Does not belong here: who may see
what (``access_control``), how rows are written (``formats``), Delta Sharing (``sharing``), deliveries (``ingest``).
"""
