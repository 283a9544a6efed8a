"""Floor 8: the service through which people and programs read governed data, push data in, and work their cases.

One module a concern here; one package a door: ``rest``, ``sharing`` (Delta Sharing), ``ingest``, ``pages``. Whatever
leaves goes through ``access_control.enforcement``, whatever comes in through the gate. Does not belong here: deciding
who may see what (``access_control``), deciding about deliveries (``admission``).
"""
