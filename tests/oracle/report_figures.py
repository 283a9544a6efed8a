"""Every figure of a morning report, computed anew from the lake's first tables.

Reads violations, check results, ledger, inventories and CMDB, and nothing that analysis has written, except which
causes it has found and which anomaly it has assigned to which; imports nothing of omgov. What an ID of a figure means
is written in ``omgov_assets/quality_analysis/report/figures.py``.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import yaml
from deltalake import DeltaTable

Row = dict[str, Any]

QUALITY = ("accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness")
CONCENTRATED = ("collector", "network_device", "site", "metric", "support_group", "owner")
PAGES = ("system", "site", "support_group", "owner")
WITH_CI = ("metric_instances", "configuration_items")


class Day:
    """What the first tables say of a day. ``before`` is the day before, where it was governed."""

    def __init__(self, home: Path, governance: Path, day: date, before: Day | None) -> None:
        self.home, self.governance, self.day, self.before = home, governance, day, before
        self.weights: dict[str, Any] = yaml.safe_load((governance / "scorecards.yaml").read_text(encoding="utf-8"))
        self.lake = home / "lake"
        self._cards: dict[tuple[str, str], Row] = {}
        self.systems = sorted(path.parent.name for path in self.lake.glob("*/metric_instances"))
        self.items = self._first("cmdb/configuration_items", "ci_id")
        self.results = self.rows("quality/check_results")
        self.ledger = self.rows("admission/ledger")
        self.violations = self.rows("quality/violations")
        self._models_published = self.rows("control/processing_models")
        self._owners, self._groups = self.rows("cmdb/owners"), self.rows("cmdb/support_groups")
        self.instances = {
            (system, row["instance_id"]): row
            for system in self.systems
            for row in self.rows(f"{system}/metric_instances", "instance_id, metric, ci_id, collector, last_seen_at")
        }

    def rows(self, table: str, columns: str = "*") -> list[Row]:
        """Rows of the day of a table."""
        path = self.lake / table
        if not path.exists():
            return []
        files = DeltaTable(str(path)).file_uris(file_pruning_predicate=f"day = '{self.day}'")
        if not files:
            return []
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            found = con.execute(f"SELECT {columns} FROM read_parquet($1, hive_partitioning = true)", [files])
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def _first(self, table: str, key: str) -> dict[str, Row]:
        found: dict[str, Row] = {}
        for row in sorted(self.rows(table), key=lambda row: (row["_batch_id"], row["_record_no"])):
            found.setdefault(row[key], row)
        return found

    # --- correlation -------------------------------------------------------------------------------------------------

    @cached_property
    def places(self) -> dict[str, dict[str, set[str]]]:
        """By CI, the keys of each dimension that it stands for."""
        relations = {(r["source_ci_id"], r["relation"], r["target_ci_id"]) for r in self.rows("cmdb/ci_relations")}
        kind = {ci: row["ci_class"] for ci, row in self.items.items()}
        applications, hosts, uplinks = (defaultdict(set) for _ in range(3))
        for source, relation, target in relations:
            classes = (kind.get(source), relation, kind.get(target))
            if classes in (("application", "runs_on", "host"), ("application", "depends_on", "database")):
                applications[target].add(source)
            if relation == "runs_on" and kind.get(target) == "host" and source in kind:
                hosts[source].add(target)
            if classes == ("host", "connected_to", "network_device"):
                uplinks[source].add(target)
        found = {}
        for ci, row in self.items.items():
            host = {ci} if kind[ci] == "host" else hosts[ci] if len(hosts[ci]) == 1 else set()
            devices = {ci} if kind[ci] == "network_device" else set()
            if kind[ci] in ("host", "database"):
                devices = {device for one in host for device in uplinks[one]}
            found[ci] = {
                "application": {ci} if kind[ci] == "application" else set(applications[ci]),
                "host": host if kind[ci] in ("host", "database", "application") else set(),
                "network_device": devices,
                "site": {ci} if kind[ci] == "site" else _some(row["site_id"]),
                "support_group": _some(row["support_group_id"]),
                "owner": _some(row["owner_id"]),
            }
        return found

    def keys(self, row: Row) -> dict[str, set[str]]:
        """The keys of each dimension that an anomaly, or an instance, belongs to."""
        nothing: dict[str, set[str]] = {
            name: set() for name in ("application", "host", "network_device", "site", "support_group", "owner")
        }
        own = {name: _some(row.get(name)) for name in ("system", "metric", "collector", "anomaly_type", "severity")}
        if row.get("subject_kind") == "processing_model":
            return nothing | self._of_model(row["subject_key"]) | own
        return nothing | self.places.get(row["ci_id"] or "", {}) | own

    def _of_model(self, model: str) -> dict[str, set[str]]:
        """Owner and group that the e-mail address in a processing model's header leads to."""
        named = {row["metric"] or f"{row['system']}/{row['dataset']}": row["owner"] for row in self._models_published}
        address = (named.get(model) or "").strip().lower()
        owners = [row for row in self._owners if (row["email"] or "").strip().lower() == address]
        groups = [row for row in self._groups if (row["email"] or "").strip().lower() == address]
        owner = min(owners, key=lambda row: row["owner_id"], default=None)
        group = min((row["support_group_id"] for row in groups), default=owner and owner["support_group_id"])
        return {"owner": _some(owner and owner["owner_id"]), "support_group": _some(group)}

    @cached_property
    def anomalies(self) -> dict[tuple[str, ...], Row]:
        """Anomalies by (system, dataset, type, subject kind, subject)."""
        found: dict[tuple[str, ...], Row] = {}
        grave = ("critical", "warning", "info")
        for row in sorted(self.violations, key=lambda v: (v["policy_id"], v["batch_id"] or "", v["record_no"] or 0)):
            name = tuple(row[k] for k in ("system", "dataset", "anomaly_type", "subject_kind", "subject_key"))
            one = found.setdefault(name, dict(row) | {"policies": set()})
            one["policies"].add(row["policy_id"])
            one["severity"] = min(one["severity"], row["severity"], key=grave.index)
        for name, row in found.items():
            earlier = self.before.anomalies.get(name) if self.before else None
            row["since"] = earlier["since"] if earlier else self.day
            row["is_instance"] = name[1] == "metric_instances" and name[3] == "row" and row["ci_id"] is not None
            row["keys"] = self.keys(row)
            row["anomaly_id"] = hashlib.md5("\x1f".join(name).encode()).hexdigest()[:16]  # noqa: S324
        return found

    @cached_property
    def gone(self) -> list[tuple[Row, str]]:
        """Anomalies of the day before that are not there any more, and what became of them."""
        if self.before is None:
            return []
        verdicts = {(r["system"], r["dataset"], r["policy_id"]): r["verdict"] for r in self.results}
        earlier = {(r["system"], r["dataset"], r["policy_id"]) for r in self.before.results}
        of_dataset: dict[tuple[str, str], set[str]] = defaultdict(set)
        for (system, dataset, _), verdict in verdicts.items():
            of_dataset[system, dataset].add(verdict)
        blocked = {name[4] for name in self.anomalies if name[0] == "derived" and name[3] == "processing_model"}
        found = []
        for name, row in self.before.anomalies.items():
            if name in self.anomalies:
                continue
            policies = [(name[0], name[1], policy) for policy in row["policies"]]
            unverified = any(verdicts.get(p) in ("not_evaluated", "error") for p in policies)
            unverified |= any(p in earlier and p not in verdicts for p in policies)
            unverified |= name[3] == "row" and of_dataset[name[0], name[1]] == {"not_evaluated"}
            unverified |= name[0] == "derived" and name[3] == "row" and row["metric"] in blocked
            withdrawn = row["is_instance"] and (name[0], name[4]) not in self.instances
            found.append((row, "unverified" if unverified else "withdrawn" if withdrawn else "resolved"))
        return found

    # --- scores ------------------------------------------------------------------------------------------------------

    @cached_property
    def last_known(self) -> dict[tuple[str, str], Row]:
        """Instances of the systems that delivered none, from the last day on which they did."""
        found: dict[tuple[str, str], Row] = {}
        for system in self.systems:
            earlier = self.before
            while earlier and not any(name[0] == system for name in self.instances):
                theirs = {name: row for name, row in earlier.instances.items() if name[0] == system}
                if theirs:
                    found |= theirs
                    break
                earlier = earlier.before
        return found

    @cached_property
    def units(self) -> list[tuple[str, str, dict[str, set[str]], bool]]:
        """What can be judged: system, dataset, keys, whether it is of the day."""
        found = []
        for rows, is_today in ((self.instances, True), (self.last_known, False)):
            for (system, _), row in rows.items():
                found.append((system, "metric_instances", self.keys(row | {"system": system}), is_today))
        return found + [
            ("cmdb", "configuration_items", self.keys({"ci_id": ci, "system": "cmdb"}), True) for ci in self.items
        ]

    @cached_property
    def counted(self) -> dict[tuple[str, str], Counter[tuple[str, str, bool]]]:
        """By subject (kind, key): how many units of each (system, dataset, of the day)."""
        found: dict[tuple[str, str], Counter[tuple[str, str, bool]]] = defaultdict(Counter)
        for system, dataset, keys, is_today in self.units:
            for subject in _subjects(system, keys):
                found[subject][system, dataset, is_today] += 1
        return found

    @cached_property
    def expected(self) -> Counter[tuple[str, str]]:
        """By subject: instances that the baseline expects, where a policy has judged whether they are reported."""
        baseline = {(r["ci_class"], r["tier"], r["metric"]) for r in self.rows("control/baseline_metrics")}
        reporting: dict[str, set[str]] = defaultdict(set)
        for system, row in [(n[0], r) for n, r in [*self.instances.items(), *self.last_known.items()]]:
            reporting[row["ci_id"]].add(system)
        judged = {
            name
            for name, rows in self.policies["coverage"].items()
            if any(row["verdict"] in ("passed", "failed") for row in rows)
        }
        of_cmdb = ("cmdb", "configuration_items") in judged
        found: Counter[tuple[str, str]] = Counter()
        for ci, row in self.items.items():
            metrics = {m for c, t, m in baseline if c == row["ci_class"] and t in (None, row["tier"])}
            if row["status"] != "in_use":
                continue
            judging = {system for system in reporting[ci] if (system, "metric_instances") in judged}
            for subject in _subjects("cmdb", self.keys({"ci_id": ci})) - {("system", "cmdb")}:
                found[subject] += len(metrics) * (bool(judging) if reporting[ci] else of_cmdb)
            found["system", "cmdb"] += len(metrics) * of_cmdb
            for system in judging:
                found["system", system] += len(metrics)
        return found

    @cached_property
    def policies(self) -> dict[str, dict[tuple[str, str], list[Row]]]:
        """Check results by quality dimension and dataset."""
        found: dict[str, dict[tuple[str, str], list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in self.results:
            found[row["quality_dimension"]][row["system"], row["dataset"]].append(row)
        return found

    @cached_property
    def penalties(self) -> dict[tuple[str, str, str], dict[tuple[str, ...], float]]:
        """By subject and quality dimension: the worst weight of each thing that is wrong."""
        judged = {row["policy_id"] for row in self.results}
        found: dict[tuple[str, str, str], dict[tuple[str, ...], float]] = defaultdict(dict)
        for name, row in self.anomalies.items():
            system, dataset, _, kind, key = name
            if kind == "expected_instance" and row["quality_dimension"] == "coverage":
                thing: tuple[str, ...] = ("expected", key)
            elif kind == "row" and (dataset != "metric_instances" or row["ci_id"]) and row["policies"] & judged:
                if dataset == "metric_samples" or (dataset in WITH_CI and row["quality_dimension"] == "coverage"):
                    continue
                thing = (system, dataset, key)
            else:
                continue
            for subject in _subjects(system, row["keys"] if dataset in WITH_CI else {}):
                things = found[(*subject, row["quality_dimension"])]
                things[thing] = max(things.get(thing, 0), self.weights["severity_weights"][row["severity"]])
        return found

    def score(self, kind: str, key: str, dimension: str) -> Row:
        """A scorecard of a quality dimension: score (None without), subjects, expected, missing, pairs, unjudged."""
        units = self.counted.get((kind, key), Counter())
        n = expected = pairs = unjudged = 0
        is_judged = is_known = is_expectation_judged = False
        for (system, dataset), policies in self.policies[dimension].items():
            missing = sum(row["verdict"] in ("not_evaluated", "error") for row in policies)
            verdicts = [row for row in policies if row["verdict"] in ("passed", "failed")]
            today, before = units[system, dataset, True], units[system, dataset, False]
            if dataset == "metric_samples":
                continue
            if dataset not in WITH_CI:
                if not (kind == "firm" or (kind, key) == ("system", system)):
                    continue
                today = max((row["evaluated"] or 0 for row in verdicts), default=0)
                of_any = [r for q in QUALITY for r in self.policies[q][system, dataset]]
                known = max((r["evaluated"] or 0 for r in of_any if r["verdict"] in ("passed", "failed")), default=0)
            elif today + before == 0 and not (kind == "firm" or (kind, key) == ("system", system)):
                continue
            else:
                known = today + before
            is_known = True
            is_judged |= bool(verdicts)
            pairs += known * len(policies)
            unjudged += known * missing
            if dimension == "coverage" and dataset in WITH_CI:
                is_expectation_judged |= bool(verdicts)
            elif verdicts:
                n += today
        if is_expectation_judged:
            expected = self.expected.get((kind, key), 0)
        penalty = self.penalties.get((kind, key, dimension), {})
        subjects = n + expected
        is_scored = subjects >= self.weights["minimum_subjects"] and is_judged
        return {
            "score": max(0.0, 100 * (1 - sum(penalty.values()) / subjects)) if is_scored else None,
            "subjects": subjects,
            "expected": expected if is_expectation_judged else None,
            "missing": sum(thing[0] == "expected" for thing in penalty) if is_expectation_judged else None,
            "pairs": pairs,
            "unjudged": unjudged,
            "is_known": is_known,
        }

    def overall(self, kind: str, key: str) -> Row:
        """The scorecard of all quality dimensions together."""
        cards = {name: self.score(kind, key, name) for name in QUALITY}
        weight = self.weights["quality_dimension_weights"]
        scored = [name for name in QUALITY if cards[name]["score"] is not None and weight[name]]
        total = sum(weight[name] for name in scored)
        coverage = cards["coverage"]
        rows = [card["subjects"] for name, card in cards.items() if name != "coverage" or card["expected"] is None]
        pairs, unjudged = (sum(card[name] for card in cards.values()) for name in ("pairs", "unjudged"))
        return {
            "score": sum(cards[name]["score"] * weight[name] for name in scored) / total if total else None,
            "subjects": max(rows) + (coverage["expected"] or 0),
            "not_evaluated_share": unjudged / pairs if pairs else None,
            "baseline_covered_share": 1 - coverage["missing"] / coverage["expected"] if coverage["expected"] else None,
        }

    @cached_property
    def moves(self) -> dict[tuple[str, str], Counter[str]]:
        """By subject: what came, stayed and went."""
        found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for name, row in self.anomalies.items():
            for subject in _subjects(name[0], row["keys"]):
                found[subject].update(["anomalies", "new" if row["since"] == self.day else "backlog"])
        for row, outcome in self.gone:
            for subject in _subjects(row["system"], row["keys"]):
                found[subject][outcome] += 1
                if outcome == "resolved":
                    found[subject]["days_to_repair"] += (self.day - row["since"]).days
        return found

    def movement(self, kind: str, key: str) -> Row:
        """What came, stayed and went of a subject."""
        moved = self.moves.get((kind, key), Counter())
        earlier = self.before.moves.get((kind, key), Counter())["anomalies"] if self.before else 0
        names = ("anomalies", "backlog", "new", "resolved", "withdrawn", "unverified", "days_to_repair")
        return {name: moved[name] for name in names} | {
            "burn_down_rate": moved["resolved"] / earlier if earlier else None
        }

    def card(self, kind: str, key: str) -> Row:
        """Everything that pages say of a subject."""
        if (kind, key) in self._cards:
            return self._cards[kind, key]
        own = self._cards[kind, key] = self.overall(kind, key) | self.movement(kind, key)
        own["new_defect_rate"] = own["new"] / own["subjects"] if own["subjects"] else None
        days, repaired, resolved = self, 0, 0
        for _ in range(self.weights["trend_days"]):
            moved = days.movement(kind, key)
            repaired, resolved = repaired + moved["days_to_repair"], resolved + moved["resolved"]
            if days.before is None:
                break
            days = days.before
        own["mean_days_to_repair"] = repaired / resolved if resolved else None
        own["instances"] = sum(
            n
            for (_, dataset, is_today), n in self.counted.get((kind, key), Counter()).items()
            if dataset == "metric_instances" and is_today
        )
        own["score_change"] = self.score_change(kind, key, "overall")
        return own

    def score_change(self, kind: str, key: str, dimension: str) -> float | None:
        """How a score changed since the day before; None where other datasets were judged."""
        weights = self.weights["quality_dimension_weights"]
        dimensions = [name for name in QUALITY if weights[name]] if dimension == "overall" else [dimension]
        if self.before is None or not all(self._is_comparable(kind, key, name) for name in dimensions):
            return None
        now, then = (
            (day.overall(kind, key) if dimension == "overall" else day.score(kind, key, dimension))["score"]
            for day in (self, self.before)
        )
        return None if now is None or then is None else now - then

    def _is_comparable(self, kind: str, key: str, dimension: str) -> bool:
        assert self.before is not None
        there = {name[:2] for name in self.counted.get((kind, key), Counter())}

        def judged(day: Day) -> set[tuple[str, str, str]]:
            return {
                (*name, row["policy_id"])
                for name, rows in day.policies[dimension].items()
                for row in rows
                if row["verdict"] in ("passed", "failed")
                and (name in there or kind == "firm" or (kind, key) == ("system", name[0]))
            }

        return judged(self) == judged(self.before)

    # --- figures -----------------------------------------------------------------------------------------------------

    def figure(self, path: tuple[str, ...]) -> float | None:
        """A figure of the first page by its ID."""
        head, *rest = path
        found: float | None = getattr(self, f"_{head}")(*rest)
        return found

    def _total(self, measure: str) -> float | None:
        instances = len(self.instances)
        flagged = {(n[0], n[4]) for n, row in self.anomalies.items() if row["is_instance"]}
        verdicts: dict[str, list[str]] = defaultdict(list)
        for row in self.results:
            if row["dataset"] == "metric_instances":
                verdicts[row["system"]].append(row["verdict"])
        sizes = Counter(name[0] for name in [*self.instances, *self.last_known])
        pairs = sum(size * len(verdicts[system]) for system, size in sizes.items())
        unjudged = sum(
            size * sum(v in ("not_evaluated", "error") for v in verdicts[system]) for system, size in sizes.items()
        )
        card = self.card("firm", "all")
        return {
            "instances": instances,
            "anomalous_instances": len(flagged),
            "rate": len(flagged) / instances if instances else None,
            "not_evaluated_share": unjudged / pairs if pairs else None,
        }.get(measure, card.get(measure))

    def _deliveries(self, decision: str) -> int:
        missing = sum(name[2] == "not_delivered" for name in self.anomalies)
        counts = Counter(row["decision"] for row in self.ledger) | Counter({"not_delivered": missing})
        decided = ("admitted", "partial", "refused", "not_delivered")
        return sum(counts[name] for name in decided) if decision == "all" else counts[decision]

    def _policies(self, verdict: str) -> int:
        counts = Counter(row["verdict"] for row in self.results)
        return counts["not_evaluated"] + counts["error"] if verdict == "unjudged" else counts[verdict]

    def _compliance(self, measure: str) -> int:
        # Clauses are judged by the night itself; here they are only counted.
        verdicts: dict[str, set[str]] = defaultdict(set)
        unverified = set()
        for row in self.rows("quality/compliance"):
            verdicts[row["clause_id"]].add(row["verdict"])
            if not row["verified"]:
                unverified.add(row["clause_id"])
        worst = Counter(
            "failed" if "failed" in found else "not_evaluated" if "not_evaluated" in found else "passed"
            for found in verdicts.values()
        )
        return {"clauses": len(verdicts), "unverified": len(unverified)}.get(measure, worst[measure])

    @cached_property
    def causes(self) -> dict[str, Row]:
        """Causes found, by key, each with the anomalies assigned to it, which all meet its conditions."""
        found = {row["cause_id"]: row | {"members": []} for row in self.rows("quality/root_causes")}
        cause_of = {row["anomaly_id"]: row["cause_id"] for row in self.rows("quality/anomaly_causes")}
        assert len(cause_of) == len(self.anomalies)
        for name, row in self.anomalies.items():
            row["cause_id"] = cause_of[row["anomaly_id"]]
            if row["cause_id"] is not None:
                cause = found[row["cause_id"]]
                cause["members"].append(row)
                for attribute, key in json.loads(cause["conditions"]).items():
                    if attribute == "metric":
                        assert key in (row["metric"], row["source_metric"])
                    elif attribute in row["keys"]:
                        assert key in row["keys"][attribute], (cause["conditions"], name)
                    else:
                        assert self.items[row["ci_id"]][attribute] == key, (cause["conditions"], name)
        return found

    def _causes(self, measure: str) -> float:
        explained = sum(len(cause["members"]) for cause in self.causes.values())
        return {
            "causes": len(self.causes),
            "explained_share": explained / len(self.anomalies),
        }[measure]

    def _cause(self, cause_id: str, measure: str) -> float:
        cause = self.causes[cause_id]
        members = cause["members"]
        found: float = {
            "anomalies": len(members),
            "coverage": len(members) / len(self.anomalies),
            "new": sum(row["since"] == self.day for row in members),
            "cis": len({row["ci_id"] for row in members} - {None}),
            "applications": len(set().union(*(row["keys"]["application"] for row in members))),
            # What was there when it was found is the search's own.
            "rate": cause["matching_anomalies"] / cause["subjects"],
            "lift": cause["matching_anomalies"] / cause["expected_anomalies"],
        }[measure]
        return found

    @cached_property
    def members(self) -> dict[str, list[str]]:
        """Open members of each case of the day, by anomaly."""
        found: dict[str, list[str]] = defaultdict(list)
        for row in self.rows("exceptions/case_members"):
            if row["state"] == "open":
                found[row["case_id"]].append(row["anomaly_id"])
        return found

    def _cases(self, measure: str) -> int:
        rows = self.rows("exceptions/cases")
        worked_on = [row for row in rows if row["status"] not in ("closed", "merged")]
        assert {row["case_id"] for row in worked_on} == set(self.members)
        if measure == "open":
            return len(worked_on)
        if measure in ("overdue", "escalated"):
            return sum(row[f"is_{measure}"] for row in worked_on)
        day = {"new": "opened_day", "closed": "closed_day"}.get(measure)
        if measure == "new":
            rows = [row for row in rows if row["split_from"] is None]
        return sum(row[day] == self.day for row in rows) if day else sum(row["status"] == measure for row in rows)

    def _case(self, case_id: str, measure: str) -> int:
        assert measure == "open_members"
        return len(self.members[case_id])

    def _finding(self, kind: str, system: str, dataset: str, *rest: str) -> float:
        rows = [row for name, row in self.anomalies.items() if name[:3] == (system, dataset, kind)]
        if rest == ("anomalies",):
            return len(rows)
        if rest == ("new",):
            return sum(row["since"] == self.day for row in rows)
        dimension, key, *_ = rest
        if key == "keys":
            return len(set().union(*(row["keys"][dimension] for row in rows)))
        return sum(key in row["keys"][dimension] for row in rows) / len(rows)

    def _score(self, kind: str, key: str, dimension: str, change: str = "") -> float | None:
        if change:
            return self.score_change(kind, key, dimension)
        card = self.overall(kind, key) if dimension == "overall" else self.score(kind, key, dimension)
        score: float | None = card["score"]
        return score

    def _lowest(self, kind: str, key: str, measure: str) -> float | None:
        found: float | None = self.card(kind, key)[measure]
        return found

    def _better(self, dimension: str, key: str, measure: str) -> float:
        new = sum(key in r["keys"][dimension] and r["since"] == self.day for r in self.anomalies.values())
        resolved = sum(key in r["keys"][dimension] and outcome == "resolved" for r, outcome in self.gone)
        return {"new": new, "resolved": resolved}[measure]

    def _risen(self, kind: str, key: str, measure: str) -> float | None:
        return self._score(kind, key, "overall", "" if measure == "score" else "change")

    def _trend(self, kind: str, key: str, day: str, measure: str) -> float | None:
        earlier: Day | None = self
        while earlier and earlier.day.isoformat() != day:
            earlier = earlier.before
        assert earlier is not None, f"{day} was not governed"
        found: float | None = earlier.card(kind, key)[measure]
        return found

    @cached_property
    def _by_key(self) -> dict[tuple[str, str], Row]:
        """By dimension and key: anomalies, weight of their severities, anomalous instances, instances."""
        found: dict[tuple[str, str], Row] = defaultdict(
            lambda: {"anomalies": 0, "severity_score": 0.0, "flagged": set(), "instances": 0}
        )
        for name, row in self.anomalies.items():
            for dimension, keys in row["keys"].items():
                for key in keys:
                    cell = found[dimension, key]
                    cell["anomalies"] += 1
                    cell["severity_score"] += self.weights["severity_weights"][row["severity"]]
                    if row["is_instance"]:
                        cell["flagged"].add((name[0], name[4]))
        for (system, _), row in self.instances.items():
            for dimension, keys in self.keys(row | {"system": system}).items():
                for key in keys:
                    found[dimension, key]["instances"] += 1
        return found

    def _ranking(self, dimension: str, key: str, measure: str = "") -> float | None:
        if not measure:
            of_all = [row["keys"][dimension] for row in self.anomalies.values()]
            return len(set().union(*of_all)) if key == "keys" else sum(not keys for keys in of_all)
        cell = self._by_key[dimension, key]
        # Types and severities say nothing of which instances there are.
        instances = len(self.instances) if dimension in ("anomaly_type", "severity") else cell["instances"]
        if measure == "rate":
            return len(cell["flagged"]) / instances if instances else None
        if measure == "change":
            return cell["anomalies"] - self.before._by_key[dimension, key]["anomalies"] if self.before else None
        found: float = cell[measure]
        return found

    def _admission(self, system: str, measure: str) -> float:
        rows = [r for r in self.ledger if r["system"] == system and r["decision"] in ("admitted", "partial", "refused")]
        return len(rows) if measure == "batches" else sum(row[measure] or 0 for row in rows)

    def _delivery(self, system: str, dataset: str, batch: str, measure: str, reason: str = "") -> float | None:
        (row,) = [
            r for r in self.ledger if (r["system"], r["dataset"], r["batch_id"]) == (system, dataset, batch)
            and r["decision"] != "superseded"
        ]  # fmt: skip
        if reason:
            reasons: dict[str, int] = yaml.safe_load(row["quarantine_reasons"])
            return reasons[reason]
        found: float | None = row[measure]
        return found

    def _check(self, system: str, dataset: str, dimension: str, measure: str) -> float:
        rows = self.policies[dimension][system, dataset]
        verdict = {"policies_failed": "failed", "policies_not_evaluated": "not_evaluated", "policies_in_error": "error"}
        if measure in verdict:
            return sum(row["verdict"] == verdict[measure] for row in rows)
        return len(rows) if measure == "policies" else sum(row["failed"] or 0 for row in rows)

    def _unjudged(self, verdict: str, system: str, dataset: str, reason: str) -> int:
        return sum(
            (r["verdict"], r["system"], r["dataset"], r["reason"]) == (verdict, system, dataset, reason)
            for r in self.results
        )

    def _models(self, measure: str) -> int:
        rows = [row for name, row in self.anomalies.items() if name[3] == "processing_model"]
        return len(rows) if measure == "findings" else sum(row["severity"] == "critical" for row in rows)

    def _cmdb(self, kind: str, dataset: str, measure: str) -> int:
        rows = [row for name, row in self.anomalies.items() if name[:3] == ("cmdb", dataset, kind)]
        rows = [row for row in rows if row["subject_kind"] in ("row", "expected_instance")]
        return len(rows) if measure == "anomalies" else sum(row["since"] == self.day for row in rows)

    def _anomaly_ids(self, kind: str, key: str) -> set[str]:
        mine = self._of_key.get((kind, key), [])
        return {row["anomaly_id"] for row in mine}

    def page_figure(self, kind: str, key: str, path: tuple[str, ...]) -> float | None:
        """A figure of the page of a subject by its ID."""
        mine = self._of_key.get((kind, key), [])
        match path:
            case ("score", dimension):
                return self._score(kind, key, dimension)
            case ("score", dimension, "change"):
                return self._score(kind, key, dimension, "change")
            case ("subjects", dimension):
                subjects: float = self.score(kind, key, dimension)["subjects"]
                return subjects
            case ("type", anomaly_type, measure):
                rows = [row for row in mine if row["anomaly_type"] == anomaly_type]
                return len(rows) if measure == "anomalies" else sum(row["since"] == self.day for row in rows)
            case ("case", case_id):
                return len(self._anomaly_ids(kind, key) & set(self.members[case_id]))
            case ("cases",):
                return sum(bool(self._anomaly_ids(kind, key) & set(members)) for members in self.members.values())
            case ("by", dimension, "keys"):
                return len(set().union(*(row["keys"][dimension] for row in mine)))
            case ("by", dimension, value):
                return sum(value in row["keys"][dimension] for row in mine)
            case ("shown",):
                return min(len(mine), 12)
            case ("all",):
                return len(mine)
            case (measure,):
                found: float | None = self.card(kind, key)[measure]
                return found
        raise LookupError(path)

    @cached_property
    def _of_key(self) -> dict[tuple[str, str], list[Row]]:
        found: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.anomalies.values():
            for kind in PAGES:
                for key in row["keys"][kind]:
                    found[kind, key].append(row)
        return found

    def keys_with_a_page(self, kind: str) -> set[str]:
        """Keys with an anomaly, or with one that was resolved."""
        there = [row["keys"][kind] for row in self.anomalies.values()]
        return set().union(*there, *(row["keys"][kind] for row, outcome in self.gone if outcome == "resolved"))


def days_of(home: Path, governance: Path, days: Iterable[date]) -> list[Day]:
    """The days of a lake in order; a day that follows one that was not governed has no day before."""
    found: list[Day] = []
    for day in days:
        before = found[-1] if found and found[-1].day == day - timedelta(days=1) else None
        found.append(Day(home, governance, day, before))
    return found


def _some(value: str | None) -> set[str]:
    return set() if value is None else {value}


def _subjects(system: str, keys: dict[str, set[str]]) -> set[tuple[str, str]]:
    of_ci = {(kind, key) for kind in ("support_group", "owner", "application", "site") for key in keys.get(kind, ())}
    return {("firm", "all"), ("system", system)} | of_ci
