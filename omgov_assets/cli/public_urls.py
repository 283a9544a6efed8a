"""What clients call the service by, as it is written on the command line.

Does not belong here: where the service listens (``serve``).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from omgov_assets.cli.output import fail

# Of a host and a path that stand in an address as they are.
_PLAIN = re.compile(r"[A-Za-z0-9._~:/\[\]%-]+", re.ASCII)
_OF_SHARING = "/sharing"


def checked_url(option: str, url: str) -> str:
    """A URL of the service without a slash at its end; ends the command where it is none.

    Args:
        option: what it was given by, for the error.
        url: the URL.
    """
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or not _PLAIN.fullmatch(url):
        fail(f"{option} {url!r}: write it as https://omgov.example.com")
    url = url.rstrip("/")
    if url.endswith(_OF_SHARING):
        fail(f"{option} {url!r}: write it without {_OF_SHARING}, which stands in the addresses that are made of it")
    return url
