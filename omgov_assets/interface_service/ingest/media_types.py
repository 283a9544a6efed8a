"""What a dataset takes: the media types, character sets and content codings of bodies, by its transport.

Owns one rule: bytes land as they were delivered, so that a body must be of the format and the encoding that the source
contract is written for. Does not belong here: undoing a coding (``content_coding``).
"""

from __future__ import annotations

import codecs
from email.message import Message

from omgov_assets.interface_service.ingest.content_coding import CODINGS
from omgov_assets.interface_service.problems import Problem
from omgov_assets.model_management.business_systems import DeliveryFormat, Transport

# The first name of a format is the one that is advertised.
MEDIA_TYPES: dict[DeliveryFormat, tuple[str, ...]] = {
    "csv": ("text/csv",),
    "ndjson": ("application/x-ndjson", "application/ndjson", "application/jsonl"),
    "json": ("application/json",),
    "parquet": ("application/vnd.apache.parquet",),
    "sqlite": ("application/vnd.sqlite3",),
}
_TEXT_FORMATS = frozenset({"csv", "ndjson", "json"})


def taken_formats(transport: Transport) -> tuple[DeliveryFormat, ...]:
    """Formats that a body for the dataset may have, its own first: lines and arrays of JSON give the same values."""
    match transport.format:
        case "ndjson":
            return ("ndjson", "json")
        case "json":
            return ("json", "ndjson")
        case other:
            return (other,)


def format_of(content_type: str, transport: Transport) -> DeliveryFormat:
    """The format of a body by its ``Content-Type``; of JSON, whether lines or an array is told by the body itself.

    Raises:
        Problem: 415, naming what the dataset takes.
    """
    taken = taken_formats(transport)
    advertised = ", ".join(MEDIA_TYPES[one][0] for one in taken)
    told = {"Accept-Post": advertised}
    if not content_type:
        raise Problem(415, "media_type_missing", f"Say what the body is by Content-Type: {advertised}.", told)
    head = Message()
    head["Content-Type"] = content_type
    found = next((one for one in taken if head.get_content_type() in MEDIA_TYPES[one]), None)
    if found is None:
        raise Problem(415, "media_type_not_taken", f"The dataset is delivered as {advertised}.", told)
    charset = head.get_param("charset")
    if charset is not None and not (found in _TEXT_FORMATS and _is_same(str(charset), transport.encoding)):
        encoding = f"in {transport.encoding}" if found in _TEXT_FORMATS else "without a charset"
        raise Problem(415, "charset_not_taken", f"The dataset is delivered {encoding}.", told)
    if head.get_param("header") == "absent":
        raise Problem(415, "header_missing", "The first line of the CSV must name its columns.", told)
    return found


def coding_of(content_encoding: str) -> str | None:
    """The content coding to undo; None where the body is as it is.

    Raises:
        Problem: 415, naming the codings that are taken.
    """
    coding = (content_encoding or "identity").strip().lower().removeprefix("x-")
    if coding == "identity":
        return None
    if coding not in CODINGS:
        taken = ", ".join(CODINGS)
        raise Problem(
            415,
            "coding_not_taken",
            f"A body may be packed once, by {taken}.",
            {"Accept-Encoding": f"{taken}, identity"},
        )
    return coding


def _is_same(charset: str, encoding: str) -> bool:
    try:
        return codecs.lookup(charset).name == codecs.lookup(encoding).name
    except (LookupError, ValueError):
        return False
