"""Delta Sharing: governed data for clients of the open protocol, as files behind links that prove themselves.

Belongs here: the protocol's answers, which tables are offered to whom, and serving the files. Does not belong here:
what is in the files, and who may see it (``access_control``): a share never widens what a decision permits.
"""
