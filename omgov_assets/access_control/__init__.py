"""Floor 2: access control. Who may see which rows and columns, how masked, and what is on record of it.

Belongs here: the decision, governed snapshots, tokens and the audit of decisions. Does not belong here: serving what
was decided (``interface_service``), and admission, which judges what arrives.
"""
