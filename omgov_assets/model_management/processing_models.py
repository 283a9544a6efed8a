"""Processing models: versioned SQL with a YAML header that turns a source dataset into the standard dataset.

Does not belong here: running a model (``admission``) or checking its meaning.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from omgov_assets.model_management.documents import content_hash, parse, parse_yaml, read_text
from omgov_assets.model_management.errors import GovernanceError

_HEADER = re.compile(r"\A\s*/\*\s*---\s*\n(?P<header>.*?)\n\s*---\s*\*/(?P<sql>.*)\Z", re.DOTALL)


class ModelHeader(BaseModel):
    """The YAML header of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["conform"]
    dataset: str
    version: str
    owner: str
    description: str


class ProcessingModel(BaseModel):
    """A processing model as it was read: header, one SELECT, and a hash of both."""

    model_config = ConfigDict(frozen=True)

    header: ModelHeader
    sql: str
    content_hash: str
    path: Path


def load_processing_model(path: Path) -> ProcessingModel:
    """Read a ``<dataset>.sql``.

    Raises:
        GovernanceError: missing file, no or malformed header, or a dataset other than the file's name.
    """
    text = read_text(path)
    match = _HEADER.match(text)
    if match is None:
        raise GovernanceError(path, "header", "no YAML header", "begin the file with /* --- … --- */")
    document = parse_yaml(match["header"], path, first_line=text.count("\n", 0, match.start("header")) + 1)
    header = parse(ModelHeader, document, path, "header")
    if header.dataset != path.stem:
        raise GovernanceError(path, "header.dataset", f"says {header.dataset!r}", f"say {path.stem!r}, as the file")
    return ProcessingModel(
        header=header, sql=match["sql"].strip().removesuffix(";"), content_hash=content_hash(text), path=path
    )
