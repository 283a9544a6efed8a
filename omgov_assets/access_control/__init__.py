"""Floor 2: who may see what, and how. Everything that hands data out asks the one decision function here.

Belongs here: decisions, and what a principal is given by one. Does not belong here: reading ``governance/access``
(``model_management``), serving over HTTP (``interface_service``).
"""
