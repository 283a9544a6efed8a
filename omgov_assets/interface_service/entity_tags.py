"""Entity tags in conditions of requests, as RFC 9110 reads them.

Does not belong here: what a tag is made of; that is for whoever gives it out (``rest.answers``, ``sharing.ranges``).
"""

from __future__ import annotations

import re

_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether ``If-None-Match`` names an entity tag (with its quotes), or any."""
    if not if_none_match:
        return False
    known = (one.removeprefix("W/") for one in _ENTITY_TAG.findall(if_none_match))
    return if_none_match.strip() == "*" or tag in known
