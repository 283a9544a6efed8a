"""What a process of the service holds: the lake, the audit, the tokens, and the rules in force.

Owns one rule: a change of ``governance/`` holds within a second or so, in every process, and rules that cannot be read
let nobody in. Does not belong here: answering requests (``app``), the rules themselves (``access_control``).
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from omgov_assets.access_control.audit_chain import Decision
from omgov_assets.access_control.audit_lake import open_log
from omgov_assets.access_control.audit_log import AuditLog
from omgov_assets.access_control.authentication import Authenticator
from omgov_assets.access_control.decision import DecisionPoint
from omgov_assets.access_control.enforcement import EnforcementPoint, decision_point
from omgov_assets.access_control.link_keys import LinkKeys
from omgov_assets.access_control.signed_links import SignedLinks
from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.limits import FailureRecords, Limits, Places
from omgov_assets.model_management.access_rules import AccessRules
from omgov_assets.model_management.governance import Governance

LOOKS_EVERY_S = 0.5

_logger = logging.getLogger("omgov.service")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Rules:
    """One state of the firm's rules.

    Attributes:
        governance: control information; None where it cannot be read: nobody is let in then.
        door: what governed data leaves through.
        authenticator: tells who asks.
        links: signs and opens links to governed snapshots.
        policy_hash: the access rules.
    """

    governance: Governance | None
    door: EnforcementPoint
    authenticator: Authenticator
    links: SignedLinks
    policy_hash: str


@dataclass
class Service:
    """What a process holds; made by ``of_home``, shared by threads.

    Attributes:
        settings: where things are.
        lake: the tables.
        audit: the log of decisions.
        tokens: the tokens of the home.
        limits: what a client may ask for.
        environment: where keys are.
        clock: the time (aware).
        public_url: what clients call the service by, without a slash at its end; empty where the request says.
        failures: which failed proofs go on record.
        whole_answers: places of answers with all rows.
    """

    settings: Settings
    lake: Lake
    audit: AuditLog
    tokens: TokenStore
    limits: Limits = field(default_factory=Limits)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    clock: Callable[[], datetime] = _now
    public_url: str = ""
    failures: FailureRecords = field(default_factory=FailureRecords)

    def __post_init__(self) -> None:
        self._state = self._read()
        self._stopping = threading.Event()
        self.whole_answers = Places(
            self.limits.whole_answers,
            self.limits.whole_answers_each,
            "too_many_answers",
            "Too many answers{of_yours} with all rows are under way; wait, or read by pages.",
            wait_s=5,
        )

    @classmethod
    @contextmanager
    def of_home(
        cls,
        settings: Settings,
        limits: Limits | None = None,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], datetime] = _now,
        public_url: str = "",
    ) -> Iterator[Service]:
        """The service of a home, until the context ends.

        Raises:
            AuditUnavailableError, TokenError: the audit or the tokens cannot be used: nothing could be given.
        """
        lake = Lake(settings.lake, settings.dataset_contracts)
        with ExitStack() as opened:
            audit = opened.enter_context(open_log(lake, settings.audit))
            tokens = opened.enter_context(TokenStore(settings.tokens))
            service = cls(settings, lake, audit, tokens, limits or Limits(), environment, clock, public_url)
            watch = threading.Thread(target=service._watch, name="rules-watch", daemon=True)
            watch.start()
            try:
                yield service
            finally:
                service._stopping.set()
                watch.join()

    def rules(self) -> Rules:
        """The rules in force."""
        return self._state[1]

    def record_failure(self, failure: Decision) -> None:
        """Put a failed proof on record, as long as there are not too many of them; see ``FailureRecords``.

        Raises:
            AuditUnavailableError: it cannot be put on record.
        """
        left_out = self.failures.take()
        if left_out is None:
            return
        said = (
            f"{failure.reason}; {left_out} more before it were not recorded one by one" if left_out else failure.reason
        )
        self.audit.record(replace(failure, reason=said))

    def _watch(self) -> None:
        while not self._stopping.wait(LOOKS_EVERY_S):
            if _fingerprint(self.settings.project) != self._state[0]:
                self._state = self._read()
                _logger.info("rules read", extra={"policy_hash": self.rules().policy_hash})

    def _read(self) -> tuple[str, Rules]:
        # Before the files are read: what changes meanwhile is seen as a change at the next look.
        seen = _fingerprint(self.settings.project)
        try:
            decisions, governance = decision_point(self.settings.project, self.environment)
        except Exception as error:
            # Whatever it was: the rules of before must not stay in force, nor the watch end.
            unreadable = f"the access rules cannot be read: {type(error).__name__}"
            decisions, governance = DecisionPoint.nobody(unreadable), None
        access = governance.access if governance is not None else AccessRules()
        zone = governance.firm.zone if governance is not None else ZoneInfo("UTC")
        if decisions.closed:
            _logger.error("nobody is let in", extra={"reason": decisions.closed})
        keys = LinkKeys(self.settings.link_keys, self.environment)
        rules = Rules(
            governance=governance,
            door=EnforcementPoint(self.lake, decisions, self.audit, self.settings.governed, self.clock),
            authenticator=Authenticator(access, self.tokens, zone),
            links=SignedLinks(keys, access, self.tokens, zone, decisions.shown_hash),
            policy_hash=access.policy_hash,
        )
        return seen, rules


def _fingerprint(project: Path) -> str:
    """Stands for names, sizes and times of the files that rules are read from."""
    seen = []
    for root in (project / "governance", project / "expectations"):
        for folder, _, names in os.walk(root):
            for name in names:
                try:
                    status = (Path(folder) / name).stat()
                except OSError as error:
                    seen.append(f"{folder}/{name} {error.errno}")
                    continue
                seen.append(f"{folder}/{name} {status.st_size} {status.st_mtime_ns} {status.st_ino}")
    return "\n".join(sorted(seen))
