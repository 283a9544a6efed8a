"""Two whole nights over deliveries full of canaries: personal data is found where it may be, and nowhere else.

Every output is searched: the home of omgov (lake, Dagster, report, outbox, views), what commands print and log, and
what a real mail server and a real web server receive. That each plant came to where it was meant to go is shown too,
so that nothing passes for not having been planted.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from canaries import Search
from lake_content import rows_of
from personal_firm import BREAKING, FAILING, FIRST, FORMATS, SECOND, PersonalFirm, build_personal_firm
from webhook import posted_to

# Where personal data may be, as paths below the home: deliveries, the owners' tables with the statistics in their own
# logs, and what was refused of them, as it was delivered.
ALLOWED = (
    "landing/",
    *(f"lake/{system}/owners/" for system in FORMATS),
    *(f"lake/{system}/owners_quarantine/" for system in FORMATS),
)

# One process for all commands: each alone would take seconds to start. All that libraries log goes to its stderr.
COMMANDS = """
import json, logging, sys, traceback
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
from omgov_assets.cli import app
for line in sys.stdin:
    arguments = json.loads(line)
    print("$ omgov", *arguments, flush=True)
    try:
        code = app(arguments, standalone_mode=False)
    except SystemExit as ended:
        code = ended.code
    except Exception:
        traceback.print_exc()
        code = "crashed"
    print("exit code", code, flush=True)
"""


@dataclass
class Sink:
    """What a mail server and a web server took: mails with the addresses they went to, bodies of requests."""

    mails: list[tuple[list[str], bytes]] = field(default_factory=list)
    posted: list[bytes] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append((list(envelope.rcpt_tos), bytes(envelope.content)))
        return "250 taken"

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, str]]:
        self.posted.append(path.encode() + b" " + body)
        return 200, {}


@dataclass(frozen=True)
class Nights:
    """The firm after two nights, what the commands said, and what the sinks took."""

    firm: PersonalFirm
    said: dict[str, str]
    sink: Sink
    search: Search

    @property
    def home(self) -> Path:
        return self.firm.firm.settings.home

    @property
    def lake(self) -> Path:
        return self.firm.firm.settings.lake

    def rows(self, table: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        return rows_of(self.lake, table, columns, where)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Terminal:
    """The command line in a process of its own, whose output goes to files."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._out, self._err = folder / "stdout", folder / "stderr"
        with self._out.open("w") as out, self._err.open("w") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-c", COMMANDS],
                stdin=subprocess.PIPE, stdout=out, stderr=err, text=True, env={**os.environ, **environment},
            )  # fmt: skip

    def run(self, *lines: Sequence[str]) -> str:
        """Run commands and give all that they said, on both streams."""
        before = self._said()
        assert self._process.stdin is not None
        self._process.stdin.writelines(json.dumps(line) + "\n" for line in lines)
        self._process.stdin.flush()
        while self._said()[0].count("exit code") < before[0].count("exit code") + len(lines):
            assert self._process.poll() is None, self._said()[1][-3000:]
            time.sleep(0.05)
        out, err = (now[len(then) :] for now, then in zip(self._said(), before, strict=True))
        # 0 or none: clean; 1: a policy broke, as on these nights some do; 2: something was refused.
        assert "exit code crashed" not in out, err[-3000:]
        return f"{out}\n{err}"

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _said(self) -> tuple[str, str]:
        return self._out.read_text(encoding="utf-8"), self._err.read_text(encoding="utf-8")


def questions(firm: PersonalFirm) -> Iterator[list[str]]:
    """What people ask on a terminal once the nights are over, in all formats."""
    lake = firm.firm.settings.lake
    for output in ("table", "json", "csv"):
        of = ["--format", output]
        yield ["anomalies", *of]
        yield ["rankings", "--by", "owner", *of]
        yield ["cases", "list", *of]
        yield ["admission", "list", "--day", "all", *of]
    of_owners = f"dataset = 'owners' AND system = 'cmdb' AND day = '{FIRST}'"
    subjects = rows_of(lake, "quality/anomalies", "DISTINCT subject_key", of_owners)
    # Rows, records and batches, by turns: one look takes a fifth of a second.
    for (subject,) in subjects[:: len(subjects) // 12]:
        yield ["explain", subject, "--day", str(FIRST)]
    for (batch,) in rows_of(lake, "admission/ledger", "DISTINCT batch_id", "rows_quarantined > 0"):
        yield ["admission", "show", batch, "--format", "json"]
    yield ["admission", "show", batch]
    for (case,) in rows_of(lake, "exceptions/cases", "DISTINCT case_id", f"day = '{SECOND}'")[:4]:
        yield ["cases", "show", case]
    of_day = f"day = '{FIRST}' AND anomaly_type = 'email_format'"
    of_mail, *_ = rows_of(lake, "exceptions/cases", "case_id", of_day)
    for kind in ("xlsx", "csv", "json"):
        out = firm.firm.settings.home / f"report/export.{kind}"
        yield ["cases", "export", *of_mail, "--as", "steward", "--out", str(out)]
        for system in ("cmdb", "directory"):
            out = firm.firm.settings.home / f"report/{system}_owners.{kind}"
            yield ["export", f"{system}/owners", "--as", "steward", "--out", str(out)]
            yield [
                "export",
                f"{system}/owners_quarantine",
                "--as",
                "steward",
                "--out",
                str(out.with_stem(f"{system}_q")),
            ]
    yield ["access", "explain", "steward", "cmdb/owners"]
    yield ["export", "cmdb/owners", "--as", "nobody", "--out", str(firm.firm.settings.home / "report/none.csv")]
    for system, name in (
        ("cmdb", "records.csv"),
        ("cmdb", "headless.csv"),
        ("cmdb", "people.csv"),
        ("directory", "keys.json"),
        ("archive", "people.db"),
    ):
        yield ["try", system, "owners", str(firm.firm.folder(system, "owners", FIRST) / name)]
    yield ["policies", "profile", "directory/owners"]
    yield ["check-models", "--run"]
    yield ["check-models", "--diff"]
    yield ["scorecards", "--by", "owner"]
    yield ["root-cause"]
    yield ["alerts", "preview", "--text"]
    yield ["alerts", "outbox"]
    yield ["lake", "doctor"]
    yield ["report"]
    yield ["replay", "--system", "directory", "--dataset", "owners"]
    yield ["replay", "--system", "cmdb", "--dataset", "owners", "--reason", "not_convertible"]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    firm = build_personal_firm(tmp_path_factory.mktemp("personal"))
    sink, said, port = Sink(), dict[str, str](), free_port()
    mails = Controller(sink, hostname="127.0.0.1", port=port)
    mails.start()
    try:
        with posted_to(sink.answer) as place:
            to_person = f"mailto://127.0.0.1:{port}?from=omgov@example.com&to={{email}}&mode=insecure"
            settings = firm.firm.settings
            environment = {
                "OMGOV_HOME": str(settings.home),
                "OMGOV_PROJECT": str(settings.project),
                "OMGOV_ALERT_OWNERS": to_person,
                "OMGOV_ALERT_SUPPORT_GROUPS": to_person,
                "OMGOV_ALERT_GOVERNANCE_OFFICE": f"json://{place}/office",
                "OMGOV_ALERT_DATA_ENGINEERS": f"json://{place}/engineers",
            }
            terminal = Terminal(settings.home.parent, environment)
            changed = ["--project", str(firm.project_of_second_night)]
            said["first night"] = terminal.run(["run", "--day", str(FIRST)])
            said["second night"] = terminal.run(["run", "--day", str(SECOND), *changed])
            said["questions"] = terminal.run(*(line + changed for line in questions(firm)))
            terminal.close()
    finally:
        mails.stop()
    return Nights(firm, said, sink, Search(firm.canaries.values()))


def _found(nights: Nights) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(nights.home.rglob("*")):
        name = path.relative_to(nights.home).as_posix()
        where = next((allowed for allowed in ALLOWED if name.startswith(allowed)), name)
        if path.is_file():
            is_damaged = where == "landing/" and path.name.startswith(("cut.", "damaged."))
            look = nights.search.places_in if is_damaged else nights.search.places_in_file
            found[where] |= look(path.read_bytes() if is_damaged else path)  # type: ignore[operator]
        if where == name:
            found[f"name of {name}"] |= nights.search.places_in_text(name)
    return {where: places for where, places in found.items() if places}


def test_personal_data_is_in_no_file_of_the_home_but_where_it_may_be(nights: Nights) -> None:
    found = _found(nights)
    assert {where: sorted(places) for where, places in found.items() if where not in ALLOWED} == {}
    # The search finds what is there: every canary where it was delivered, and in the tables that may hold some.
    assert found["landing/"] == set(nights.firm.canaries)
    assert {"accountable", "sound-dashed", "twice", "bad-mail"} <= found["lake/cmdb/owners/"]
    assert {"wrong-type", "too-few-fields", "at-the-gate"} <= found["lake/cmdb/owners_quarantine/"]
    assert {"json-key", "json-broken"} <= found["lake/directory/owners_quarantine/"]


@pytest.mark.parametrize("command", ["first night", "second night", "questions"])
def test_personal_data_is_neither_printed_nor_logged(nights: Nights, command: str) -> None:
    assert len(nights.said[command]) > 2_000
    told = [line for line in nights.said[command].splitlines() if nights.search.places_in_text(line)]
    assert told == []


def test_a_mail_holds_nobodys_address_but_the_one_it_goes_to(nights: Nights) -> None:
    accountable = nights.firm.canary("accountable")
    assert {tuple(recipients) for recipients, _ in nights.sink.mails} == {(accountable.email,)}
    for _, content in nights.sink.mails:
        mail = message_from_bytes(content, policy=policy.default)
        assert nights.search.places_in_text(str(mail["To"])) == {"accountable"}
        del mail["To"]
        body = mail.get_body(("plain",))
        assert body is not None
        assert nights.search.places_in(mail.as_bytes()) | nights.search.places_in_text(body.get_content()) == set()


def test_a_webhook_is_sent_no_personal_data(nights: Nights) -> None:
    assert {body.split(b" ")[0] for body in nights.sink.posted} == {b"/office", b"/engineers"}
    assert [body for body in nights.sink.posted if nights.search.places_in(body)] == []
    told = [json.loads(body.partition(b" ")[2])["message"] for body in nights.sink.posted]
    assert any("unusable_name" in text or "looks like a telephone number" in text for text in told), told


def test_every_file_came_to_what_it_was_planted_for(nights: Nights) -> None:
    entries = nights.rows("admission/ledger", "day, system, file_name, decision, reason_code, quarantine_reasons",
                          "dataset = 'owners'")  # fmt: skip
    by_file = {(day, system, name.rpartition("/")[2]): said for day, system, name, *said in entries}
    unusable = {key for key, reason in nights.firm.landed.items() if reason == "unusable_name"}
    assert len(unusable) == 3
    for key, reason in nights.firm.landed.items():
        if key in unusable:
            continue
        decision, code, reasons = by_file[key]
        if reason is None:
            assert (decision, reasons) == ("admitted", "{}"), key
        elif decision == "refused":
            assert code == reason, key
        else:
            assert decision == "partial", key
            assert json.loads(reasons).keys() == set(reason.split()), key
    masked = [name.rpartition("/")[2] for _, _, name, _, code, _ in entries if code == "unusable_name"]
    assert sorted(masked) == ["owners ***", "owners_***.csv", "owners_***.csv"]
    assert nights.rows("admission/ledger", "DISTINCT warnings", "warnings LIKE '%broken:gate_breaks%'")


def test_every_policy_fails_or_breaks_as_it_was_planted_for(nights: Nights) -> None:
    verdicts = dict(nights.rows("quality/check_results", "policy_id, verdict",
                                f"system = 'cmdb' AND day = '{FIRST}'"))  # fmt: skip
    expected = {p["meta"]["policy_id"]: "failed" for p in FAILING} | {p["meta"]["policy_id"]: "error" for p in BREAKING}
    expected |= {
        "contact_shown": "failed",
        "contacts_shown": "failed",
        "contact_breaks": "error",
        "view_breaks": "error",
    }
    assert {name: verdicts.get(name) for name in expected} == expected
    observed = nights.rows("quality/violations", "DISTINCT policy_id, observed", "system = 'cmdb'")
    for name in ("email_format", "phone_unique", "renamed_alike", "contact_shown", "contacts_shown"):
        assert any(policy_id == name and "***" in (shown or "") for policy_id, shown in observed), name


def test_the_second_night_sees_what_changed(nights: Nights) -> None:
    of_owners = f"dataset = 'owners' AND day = '{SECOND}'"
    since = nights.rows(
        "quality/anomalies", "DISTINCT first_seen_day", f"{of_owners} AND anomaly_type = 'email_format'"
    )
    assert (FIRST,) in since
    assert nights.rows("quality/violations", "policy_id", f"{of_owners} AND policy_id = 'model.null_explosion'")
    assert nights.rows("quality/anomaly_causes", "anomaly_id", f"day = '{SECOND}'")
    assert nights.rows("exceptions/case_events", "event_id", f"day = '{SECOND}'")


def test_reasons_say_all_that_a_steward_needs_but_the_value(nights: Nights) -> None:
    reasons = "\n".join(reason for (reason,) in nights.rows("admission/ledger", "reason", "reason IS NOT NULL"))
    for sentence in (
        "Conversion Error: Could not convert string *** to INT32 when casting from source column phone",
        "column active is nowhere true or false (e.g. 'w***')",
        "record 1: active is not true or false",
    ):
        assert sentence in reasons
    broken = dict(nights.rows("quality/check_results", "policy_id, reason", f"verdict = 'error' AND day = '{FIRST}'"))
    assert broken["cast_breaks"].endswith("Could not convert string *** to INT32 when casting from source column phone")
    assert 'according to format specifier "%Y-%m-%d"' in broken["time_breaks"]
    assert broken["error_breaks"].endswith("Invalid Input Error: ***")
