"""The door that data comes in through: ``POST /v1/ingest/{system}/{dataset}`` and ``GET /v1/batches/{id}``.

What is acknowledged is durably in the landing folder and durably known (``receptions``); the gate that every delivery
goes through judges it afterwards (``worker``). Does not belong here: landing a file (``admission.reception``), judging
it (``admission``).
"""
