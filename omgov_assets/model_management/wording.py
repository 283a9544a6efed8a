"""Wording: what the firm calls its anomaly types, by language.

Belongs here: ``governance/wording.yaml`` as a checked object. Does not belong here: the platform's own words
(``quality_analysis/report/locale``).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from omgov_assets.model_management.documents import parse, read_yaml

WORDING_DOCUMENT = "governance/wording.yaml"


class Wording(BaseModel):
    """Titles of anomaly types; a firm without the document shows their identifiers.

    Attributes:
        owner: e-mail address of who keeps them.
        anomaly_types: by type, its title by language (en, zh).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str = ""
    anomaly_types: dict[str, dict[str, str]] = {}

    def title(self, anomaly_type: str, language: str) -> str:
        """What a type is called; its identifier, as words, where nobody has said so."""
        return self.anomaly_types.get(anomaly_type, {}).get(language) or anomaly_type.replace("_", " ")


def load_wording(project: Path) -> Wording:
    """Read ``governance/wording.yaml`` of a project; nothing is named where it has none. Raises ``GovernanceError``."""
    path = project / WORDING_DOCUMENT
    return parse(Wording, read_yaml(path), path) if path.is_file() else Wording()
