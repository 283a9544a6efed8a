"""What the firm has decided that cases go by, in one object.

Does not belong here: reading ``governance/`` (``model_management``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.exception_rules import ExceptionRules
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.trading_calendar import TradingCalendar


@dataclass(frozen=True)
class CaseRules:
    """Whose systems there are, when cases are due, and on which days people work.

    Attributes:
        data_engineers: business system to the e-mail address of its data engineer.
        exceptions: the firm's exception rules.
        calendar: business days.
        zone: time zone of the business day.
    """

    data_engineers: Mapping[str, str]
    exceptions: ExceptionRules = field(default_factory=ExceptionRules)
    calendar: TradingCalendar = field(default_factory=TradingCalendar)
    zone: tzinfo = UTC

    @classmethod
    def of(cls, governance: Governance) -> CaseRules:
        """The rules of a firm."""
        return cls(
            data_engineers={name: system.owner for name, system in sorted(governance.systems.items())},
            exceptions=governance.exceptions,
            calendar=governance.calendar,
            zone=governance.firm.zone,
        )

    @property
    def content_hash(self) -> str:
        """Hash of everything that a case is judged by."""
        engineers = [f"{system}={email}" for system, email in sorted(self.data_engineers.items())]
        return content_hash(self.exceptions.model_dump_json(), self.calendar.model_dump_json(), *engineers)
