"""Floor 3: the gate. Reads deliveries, checks them against their contracts, conforms them, admits or refuses them.

Belongs here: every decision about what may enter the lake. Does not belong here: fetching deliveries
(``data_management``).
"""
