"""Answers that caches may keep for the one who asked: entity tags, conditions on them.

Owns two rules: an entity tag is made of the bytes of the answer and of nothing else, so that it cannot tell of what the
principal does not see; and an answer is the principal's own, whatever stands between it and the service.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from fastapi import Response

from omgov_assets.interface_service.entity_tags import is_known

PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Accept, Authorization, Omgov-Purpose"}


def answered(
    body: bytes, media_type: str, if_none_match: str | None, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with its entity tag; 304 without a body where the client has it already."""
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    said = {**PRIVATE, "ETag": tag, **(headers or {})}
    if is_known(if_none_match, tag):
        return Response(status_code=304, headers=said)
    return Response(body, headers={**said, "Content-Type": media_type})
