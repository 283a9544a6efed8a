"""Alerts that do not wait for the morning, and the heartbeat by which silence is noticed.

Belongs here: what such alerts say, and those that the lake tells of. Does not belong here: noticing that a run failed
(the Dagster face), digests (``digests``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from omgov_assets.admission.ledger import read_ledger
from omgov_assets.anomaly_alert.alerts import (
    BLOCKING_CHECK,
    BROKEN_AUDIT,
    ESCALATED_CASE,
    FAILED_RUN,
    HEARTBEAT,
    OVERDUE_CASE,
    REFUSED_BATCH,
    TRIAL,
    UNFINISHED_NIGHT,
    Alert,
)
from omgov_assets.anomaly_alert.case_words import GOVERNANCE_OFFICE
from omgov_assets.anomaly_alert.digests import NightDigests
from omgov_assets.anomaly_alert.outbox import Outbox
from omgov_assets.anomaly_alert.raising import known_alerts
from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.alert_routes import AlertRoutes
from omgov_assets.quality_policy.violations import CHECK_RESULTS


@dataclass(frozen=True)
class OverdueCase:
    """What an alert needs to know of a case that is not done in time.

    Attributes:
        case_id: key of the case.
        what: what is wrong, by language.
        opened_day: since when.
        due_day: by when it should have been done.
        members: anomalies that are open in it.
        recipient_kind: support_group or governance_office.
        recipient: key of who is told.
        group: support group that leads it, where the CMDB knows it.
    """

    case_id: str
    what: Mapping[str, str]
    opened_day: date
    due_day: date
    members: int
    recipient_kind: str
    recipient: str
    group: str | None = None


def refused_batches(lake: Lake, day: date) -> list[Alert]:
    """An alert for each dataset of a day with a refused batch; it stands until the day has none any more."""
    refused: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in read_ledger(lake, day):
        if entry["decision"] == "refused":
            refused.setdefault((entry["system"], entry["dataset"]), []).append(entry)
    return [_refused_batch(day, system, dataset, entries) for (system, dataset), entries in sorted(refused.items())]


def _refused_batch(day: date, system: str, dataset: str, entries: Sequence[Mapping[str, Any]]) -> Alert:
    # The sentence of the ledger may quote what was delivered: its code says enough.
    codes = ", ".join(sorted({entry["reason_code"] or "unknown" for entry in entries}))
    batches, rows = len(entries), sum(entry["rows_in"] for entry in entries)
    return Alert(
        labels={**_about(REFUSED_BATCH, "critical", day), "system": system, "dataset": dataset},
        annotations={
            "summary_en": f"{system}/{dataset}: {batches} refused batches on {day} ({codes})",
            "summary_zh": f"{system}/{dataset}：{day} 有 {batches} 个批次被拒收（{codes}）",
            "description_en": f"{rows:,} records are not in the lake. After the repair: omgov replay --system {system} "
            f"--dataset {dataset}, or deliver the file again.",
            "description_zh": f"{rows:,} 条记录未入湖。修复后执行 omgov replay --system {system} --dataset {dataset}，"
            "或重新投递文件。",
            "command": f"omgov admission list --day {day} --system {system} --dataset {dataset} --decision refused",
        },
        starts_at=day,
    )


def unjudged_checks(lake: Lake, day: date) -> list[Alert]:
    """An alert for each blocking check of a day some of whose policies gave no verdict.

    Every check is blocking. One that fails on bad data is what digests are for; one that could not judge is not known
    to be either good or bad.
    """
    with lake.connect() as con:
        lake.register(con, "check_results", CHECK_RESULTS, day)
        rows = con.execute(
            "SELECT system, dataset, quality_dimension, count(*) FILTER (verdict = 'error'), "
            "count(*) FILTER (verdict = 'not_evaluated') FROM check_results "
            "WHERE verdict IN ('error', 'not_evaluated') GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    return [blocking_check(day, *row) for row in rows]


def blocking_check(day: date, system: str, dataset: str, check: str, errors: int, not_evaluated: int) -> Alert:
    """The alert for one blocking check without a verdict."""
    return Alert(
        labels={
            **_about(BLOCKING_CHECK, "critical" if errors else "warning", day),
            "system": system,
            "dataset": dataset,
            "check": check,
        },
        annotations={
            "summary_en": f"{system}/{dataset}: {check} could not be judged on {day}",
            "summary_zh": f"{system}/{dataset}：{day} 的 {check} 检查无法给出结论",
            "description_en": f"{errors} policies broke, {not_evaluated} could not be evaluated. What was not judged "
            "counts neither as good nor as bad.",
            "description_zh": f"{errors} 条策略执行出错，{not_evaluated} 条无法评估。"
            "未评估的数据既不算合格也不算异常。",
            "command": f"omgov policies list --system {system} --dataset {dataset}",
        },
        starts_at=day,
    )


def broken_audit(day: date, findings: int) -> Alert:
    """The alert for a record of access decisions that is not whole, or cannot be told to be."""
    return Alert(
        labels=_about(BROKEN_AUDIT, "critical", day),
        annotations={
            "summary_en": f"The record of access decisions is not whole on {day}: {findings:,} findings",
            "summary_zh": f"{day} 访问决策记录不完整：{findings:,} 项发现",
            "description_en": "Something was altered, removed, reordered or cut off, or a file cannot be read. "
            "Restore it from a backup, never repair it by hand.",
            "description_zh": "记录被修改、删除、重排、截断，或文件无法读取。请从备份恢复，切勿手工修复。",
            "command": "omgov audit verify",
        },
        starts_at=day,
        ends_at=day,
    )


def failed_run(job: str, run_id: str, day: date, step: str | None, failed_on: date | None = None) -> Alert:
    """The alert for a run of Dagster that failed. The error's text is not told: it may quote data.

    Args:
        job: the job.
        run_id: the run.
        day: business day that it ran for.
        step: the step that failed, where one did.
        failed_on: day on which it failed, default the business day: runs of old days are news all the same.
    """
    where_en, where_zh = (f" in step {step}", f"（步骤 {step}）") if step else ("", "")
    return Alert(
        labels={**_about(FAILED_RUN, "critical", day), "job": job, "run_id": run_id},
        annotations={
            "summary_en": f"Run of {job} for {day} failed{where_en}",
            "summary_zh": f"{day} 的 {job} 运行失败{where_zh}",
            "description_en": f"Run {run_id}: see its log in Dagster. Once the reason is gone, run the day again; "
            "nothing is counted twice.",
            "description_zh": f"运行 {run_id}：请在 Dagster 中查看日志。排除原因后重跑当日，数据不会重复计算。",
            "command": f"omgov run --day {day}",
        },
        starts_at=day,
        ends_at=max(day, failed_on or day),
    )


def overdue_case(case: OverdueCase) -> Alert:
    """The alert for a case that is not done in time; it stands until it is closed or waived."""
    return _late_case(
        OVERDUE_CASE,
        case,
        case.recipient_kind,
        case.recipient,
        {
            "summary_en": f"Case {case.case_id} is overdue since {case.due_day}: {case.what['en']}",
            "summary_zh": f"工单 {case.case_id} 已逾期，到期日 {case.due_day}：{case.what['zh']}",
            "description_en": f"{_open_en(case)} Once the source is fixed: omgov cases claim-fix {case.case_id} --as "
            f"YOU; a night verifies it. Not yours: omgov cases assign {case.case_id} --group GROUP --as YOU.",
            "description_zh": f"{_open_zh(case)}源头修复后执行 omgov cases claim-fix {case.case_id} --as 您的账号，"
            "夜间验证。"
            f"不属于您时执行 omgov cases assign {case.case_id} --group 运维组 --as 您的账号。",
        },
    )


def escalated_case(case: OverdueCase) -> Alert:
    """The alert for a case that is overdue for so long that the governance office must see to it."""
    led_en, led_zh = (f" {case.group} leads it.", f"由 {case.group} 负责。") if case.group else ("", "")
    return _late_case(
        ESCALATED_CASE,
        case,
        GOVERNANCE_OFFICE,
        GOVERNANCE_OFFICE,
        {
            "summary_en": f"Case {case.case_id}, due {case.due_day}, is escalated: {case.what['en']}",
            "summary_zh": f"工单 {case.case_id} 已升级，到期日 {case.due_day}：{case.what['zh']}",
            "description_en": f"{_open_en(case)}{led_en} Ask who is responsible, or give it to somebody else: "
            f"omgov cases assign {case.case_id} --group GROUP --as YOU.",
            "description_zh": f"{_open_zh(case)}{led_zh}请督促责任方，或改派：omgov cases assign {case.case_id} "
            "--group 运维组 --as 您的账号。",
        },
    )


def _open_en(case: OverdueCase) -> str:
    anomalies = "1 anomaly is" if case.members == 1 else f"{case.members:,} anomalies are"
    return f"{anomalies} open, the first since {case.opened_day}."


def _open_zh(case: OverdueCase) -> str:
    return f"{case.members:,} 条异常尚未解决，始于 {case.opened_day}。"


def _late_case(alertname: str, case: OverdueCase, kind: str, recipient: str, said: Mapping[str, str]) -> Alert:
    # Severity and counts vary from night to night: they tell no case from another.
    return Alert(
        labels={"alertname": alertname, "case_id": case.case_id, "recipient_kind": kind, "recipient": recipient},
        annotations={**said, "command": f"omgov cases show {case.case_id}"},
        starts_at=case.due_day,
    )


def unfinished_night(day: date, deadline: datetime) -> Alert:
    """The alert for a night that was not finished by its deadline; it stands until the night is finished."""
    return Alert(
        labels=_about(UNFINISHED_NIGHT, "critical", day),
        annotations={
            "summary_en": f"The night of {day} is not finished",
            "summary_zh": f"{day} 的夜间治理尚未完成",
            "description_en": f"It should have been finished by {deadline:%Y-%m-%d %H:%M}. Figures of the day are "
            "missing or old until then.",
            "description_zh": f"应于 {deadline:%Y-%m-%d %H:%M} 前完成。在此之前当日数据缺失或未更新。",
            "command": f"omgov run --day {day}",
        },
        starts_at=day,
    )


def heartbeat(digests: NightDigests, refused: int, unjudged: int, report: str) -> Alert:
    """The alert that governance ran. Who does not get it knows that it did not."""
    day, told = digests.day, len(digests.told)
    return Alert(
        labels={"alertname": HEARTBEAT, "day": day.isoformat()},
        annotations={
            "summary_en": f"Governance of {day} ran: {digests.anomalies:,} anomalies, {digests.new_anomalies:,} new",
            "summary_zh": f"{day} 治理已完成：{digests.anomalies:,} 条异常，其中新增 {digests.new_anomalies:,} 条",
            "description_en": f"{told:,} digests, {refused:,} datasets with refused batches, {unjudged:,} checks "
            "without a verdict.",
            "description_zh": f"{told:,} 份摘要，{refused:,} 个数据集有批次被拒收，{unjudged:,} 项检查没有结论。",
            "report": report,
        },
        starts_at=day,
        ends_at=day,
    )


def trial(day: date, recipient_kind: str, recipient: str) -> Alert:
    """An alert that says of itself that it is only a trial, for a recipient where one is given."""
    labels = {"alertname": TRIAL, "day": day.isoformat()}
    if recipient_kind and recipient:
        labels |= {"recipient_kind": recipient_kind, "recipient": recipient}
    return Alert(
        labels=labels,
        annotations={
            "summary_en": "Test message, nothing is wrong",
            "summary_zh": "测试消息，一切正常",
            "description_en": "Somebody tried whether alerts arrive: omgov alerts test.",
            "description_zh": "有人在测试告警能否送达：omgov alerts test。",
        },
        starts_at=day,
        ends_at=day,
    )


def missed_deadline(outbox: Outbox, routes: AlertRoutes, zone: tzinfo, first_day: date, now: datetime) -> list[Alert]:
    """The alert for the last night whose deadline has passed, where its heartbeat has not been seen; else none."""
    local = now.astimezone(zone)
    passed = local.timetz().replace(tzinfo=None) >= routes.night_deadline
    day = local.date() - timedelta(days=1 if passed else 2)
    if day < first_day:
        return []
    finished = {alert.labels["day"] for alert in known_alerts(outbox, HEARTBEAT)}
    deadline = datetime.combine(day + timedelta(days=1), routes.night_deadline, zone)
    return [] if day.isoformat() in finished else [unfinished_night(day, deadline)]


def _about(alertname: str, severity: str, day: date) -> dict[str, str]:
    return {"alertname": alertname, "severity": severity, "day": day.isoformat()}
