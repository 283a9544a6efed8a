"""Floor 4: collection. Finds what was delivered for a day and takes it to the gate.

Belongs here: where deliveries come from. Does not belong here: what may enter (``admission``).
"""
