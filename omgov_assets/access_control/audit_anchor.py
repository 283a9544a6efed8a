"""Anchors: heads of the audit chain, signed and kept elsewhere, so that a chain that was cut or written anew is found.

An anchor file has one JSON object a line. It belongs on another machine or a medium that cannot be written twice. Does
not belong here: going along the chain (``audit_verify``).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from omgov_assets.access_control.audit_chain import Finding, stamp

KEY_VARIABLE = "OMGOV_AUDIT_KEY"
_SHORTEST_KEY = 32


class AnchorKeyError(Exception):
    """The key that signs anchors is missing or too short; says what to do."""


@dataclass(frozen=True)
class Anchors:
    """What an anchor file says: hash by number of entry where the signature holds, and what is wrong elsewhere."""

    known: Mapping[int, str]
    findings: tuple[Finding, ...]


def anchor_key(environment: Mapping[str, str]) -> bytes:
    """The key that signs anchors. Raises ``AnchorKeyError``."""
    key = environment.get(KEY_VARIABLE, "")
    if len(key) < _SHORTEST_KEY:
        raise AnchorKeyError(
            f"{KEY_VARIABLE} must hold the key that signs anchors, {_SHORTEST_KEY} characters at least; make one with "
            "`openssl rand -hex 32` and keep it apart from the home"
        )
    return key.encode()


def write_anchor(path: Path, seq: int, hashed: str, at: datetime, key: bytes) -> None:
    """Append the signed head of the chain to a file; returns when it is durable."""
    signed = {"seq": seq, "hash": hashed, "anchored_at": stamp(at)}
    line = json.dumps(signed | {"signature": _signature(signed, key)}) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        # A line that was torn by a crash stays a line of its own.
        if file.tell() and not _ends_line(path):
            line = "\n" + line
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_anchors(path: Path, key: bytes) -> Anchors:
    """Anchors of a file whose signatures hold; every other line is a finding."""
    known: dict[int, str] = {}
    findings: list[Finding] = []
    for number, raw in enumerate(path.read_bytes().splitlines(), 1):
        if not raw.strip():
            continue
        try:
            line = json.loads(raw)
            signed = {"seq": line["seq"], "hash": line["hash"], "anchored_at": line["anchored_at"]}
            is_genuine = hmac.compare_digest(_signature(signed, key).encode(), str(line["signature"]).encode())
        except (ValueError, KeyError, TypeError):
            findings.append(Finding("anchor", None, "unreadable", f"{path}, line {number} is no anchor"))
            continue
        seq, hashed = signed["seq"], signed["hash"]
        if not is_genuine or type(seq) is not int or not re.fullmatch("[0-9a-f]{64}", str(hashed)):
            findings.append(Finding("anchor", None, "forged", f"{path}, line {number}: its signature does not hold"))
        elif known.setdefault(seq, hashed) != hashed:
            findings.append(Finding("anchor", seq, "replaced", f"{path}, line {number}: entry {seq} was another one"))
    return Anchors(known, tuple(findings))


def _signature(signed: Mapping[str, object], key: bytes) -> str:
    text = json.dumps(signed, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, b"omgov audit anchor 1\n" + text.encode(), hashlib.sha256).hexdigest()


def _ends_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
