"""Text of catalogue files: decoding it, and quoting a piece of it in a finding.

Belongs here: what the readers of text formats share. Does not belong here: the syntax of a format.
"""

from __future__ import annotations

from omgov_assets.data_management.catalogues.entries import CatalogueFile, Finding, shown


def decoded(file: CatalogueFile) -> str | Finding:
    """The file's text, or the finding that it is not UTF-8; a byte order mark is no part of it."""
    try:
        return file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.content.count(b"\n", 0, error.start) + 1
        detail = f"byte {error.start} is not UTF-8; save the file in UTF-8"
        return Finding("unreadable_text", file.name, line, None, detail, refused=True)


def quoted(value: object) -> str:
    """A value of a file as a finding's sentence carries it: in quotes, control characters escaped, long ones cut."""
    return f"'{shown(str(value))}'"
