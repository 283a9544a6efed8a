"""The key of ``hmac`` masks: where it is, until when it may be used, and how to tell it from another.

Does not belong here: masking (``data_lake.masks``).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from omgov_assets.model_management.access_rules import AccessRules

_HEX_KEY = re.compile(r"[0-9a-fA-F]{64,128}")


@dataclass(frozen=True)
class MaskKey:
    """A secret of 32 to 64 bytes, which no representation shows.

    Attributes:
        expires_at: when it may no longer be used (aware).
    """

    secret: bytes = field(repr=False)
    expires_at: datetime

    @property
    def fingerprint(self) -> str:
        """Tells the key from others without giving it away."""
        return hmac.new(self.secret, b"omgov mask key", hashlib.sha256).hexdigest()[:16]


def mask_key(rules: AccessRules, environment: Mapping[str, str], zone: ZoneInfo) -> MaskKey | None:
    """The key that the access rules name, or None where there is none or it is no key: its columns are left out."""
    source = rules.mask_key
    text = environment.get(source.env, "") if source is not None else ""
    if source is None or len(text) % 2 or not _HEX_KEY.fullmatch(text):
        return None
    return MaskKey(bytes.fromhex(text), datetime.combine(source.valid_until + timedelta(days=1), time.min, zone))
