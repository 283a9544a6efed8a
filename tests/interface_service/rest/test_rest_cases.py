"""Acts on cases by REST: on the state that was seen, by whom they are permitted to, and on no case out of sight."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from served import Served

from omgov_assets.access_control.audit_log import AuditLog

Case = dict[str, Any]


@pytest.fixture(scope="module")
def steward(service: Served) -> Iterator[httpx.Client]:
    with service.client("steward") as client:
        yield client


def fresh(client: httpx.Client, *where: str) -> tuple[Case, str]:
    """A case that nobody has touched, and its entity tag."""
    query = [("where", "status:eq:open"), *(("where", one) for one in where), ("sort", "-open_members"), ("limit", "1")]
    (row,) = client.get("/v1/cases", params=query).json()["rows"]
    return seen(client, row["case_id"])


def seen(client: httpx.Client, case_id: str) -> tuple[Case, str]:
    answer = client.get(f"/v1/cases/{case_id}")
    assert answer.status_code == 200, answer.text
    case: Case = answer.json()
    assert answer.headers["etag"] == f'"{case["case"]["last_event_id"]}"'
    return case, answer.headers["etag"]


def act(client: httpx.Client, case_id: str, what: str, tag: str | None, **body: Any) -> httpx.Response:
    headers = {"If-Match": tag} if tag is not None else {}
    return client.post(f"/v1/cases/{case_id}/{what}", json=body, headers=headers)


def test_every_act_does_what_it_says_and_goes_on_from_its_own_tag(steward: httpx.Client) -> None:
    case, tag = fresh(steward)
    name = case["case"]["case_id"]
    assert case["acts"] == ["acknowledge", "assign", "claim-fix", "comment", "merge", "split", "waive"]
    for what, body, status, kind in [
        ("acknowledge", {}, "acknowledged", "acknowledged"),
        ("assign", {"to": "li.na@example.com", "reason": "knows it"}, "in_progress", "taken_on"),
        ("comment", {"text": "asked 王芳", "ticket": "OPS-1"}, "in_progress", "linked"),
        ("assign", {"group": "SG-01", "reason": "theirs"}, "reassigned", "reassigned"),
        ("claim-fix", {"text": "agent restarted"}, "fix_claimed", "fix_claimed"),
        ("waive", {"reason": "replaced next month", "until": "2026-12-04"}, "waived", "waived"),
    ]:
        answer = act(steward, name, what, tag, **body)
        assert answer.status_code == 200, answer.text
        after, tag = answer.json(), answer.headers["etag"]
        assert after["case"]["status"] == status
        assert (after["history"][-1]["kind"], after["history"][-1]["acted_by"]) == (kind, "steward")
        assert seen(steward, name) == (after, tag)
    assert after["case"]["ticket"] == "OPS-1"
    refused = act(steward, name, "acknowledge", tag)
    assert (refused.status_code, refused.json()["code"]) == (409, "act_not_possible")
    assert "possible are" in refused.json()["detail"]
    members = steward.get(after["links"]["members"]).json()["rows"]
    assert {row["case_id"] for row in members} == {name}


def test_members_are_split_off_and_merged_again(steward: httpx.Client) -> None:
    case, tag = fresh(steward, "open_members:gt:1", "cause_id:not-null")
    name = case["case"]["case_id"]
    members = steward.get(f"{case['links']['members']}&limit=10000").json()["rows"]
    (chosen, *_) = [row["anomaly_id"] for row in members if row["state"] == "open"]
    everything = act(steward, name, "split", tag, which={"anomaly_id": ["nothing"]}, reason="none")
    assert everything.status_code == 409
    made = act(steward, name, "split", tag, which={"anomaly_id": [chosen]}, reason="another team's")
    assert made.status_code == 201, made.text
    other, other_tag = seen(steward, made.headers["location"].rpartition("/")[2])
    assert (other["case"]["split_from"], other["case"]["open_members"]) == (name, 1)
    assert made.json()["case"]["open_members"] == case["case"]["open_members"] - 1
    other_name = other["case"]["case_id"]
    others = {other_name: other_tag.strip('"')}
    late = act(steward, name, "merge", made.headers["etag"], others={other_name: "0123456789ab"}, reason="the same")
    assert late.status_code == 412
    merged = act(steward, name, "merge", made.headers["etag"], others=others, reason="the same")
    assert merged.status_code == 200, merged.text
    assert merged.json()["case"]["open_members"] == case["case"]["open_members"]
    assert seen(steward, other_name)[0]["case"]["status"] == "merged"


def test_whoever_is_slower_is_told_so_and_does_nothing(service: Served, steward: httpx.Client) -> None:
    case, tag = fresh(steward)
    name = case["case"]["case_id"]
    answers: list[int] = []

    def comment(number: int) -> None:
        with service.client("steward") as client:
            answers.append(act(client, name, "comment", tag, text=f"comment {number}").status_code)

    threads = [threading.Thread(target=comment, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 412, 412, 412]
    after, _ = seen(steward, name)
    assert len(after["history"]) == len(case["history"]) + 1
    late = act(steward, name, "acknowledge", tag)
    assert (late.status_code, late.json()["code"]) == (412, "somebody_was_faster")
    assert "commented by steward" in late.json()["detail"]


@pytest.mark.parametrize(
    ("what", "tag", "body", "status", "said"),
    [
        ("acknowledge", None, "{}", 428, "If-Match"),
        ("acknowledge", "*", "{}", 400, "If-Match"),
        ("acknowledge", 'W/"abc"', "{}", 400, "If-Match"),
        ("acknowledge", '"a", "b"', "{}", 400, "If-Match"),
        ("acknowledge", "seen", '{"text": "x"}', 400, "text: Extra"),
        ("comment", "seen", "{}", 400, "text or a ticket"),
        ("comment", "seen", '{"text": "   "}', 400, "text:"),
        ("comment", "seen", '{"text": 3}', 400, "text:"),
        ("comment", "seen", "not json", 400, "body:"),
        ("comment", "seen", "[]", 400, "body:"),
        ("comment", "seen", '{"text": "one", "text": "two"}', 400, "'text' is there more than once; say it once."),
        ("comment", "seen", '{"text": "one", "\\u0074ext": "one"}', 400, "'text' is there more than once"),
        ("assign", "seen", '{"to": "a", "group": "b", "reason": "r"}', 400, "not both"),
        ("claim-fix", "seen", "{}", 400, "text:"),
        ("waive", "seen", '{"reason": "r", "until": "2026-11-01"}', 409, ""),
        ("waive", "seen", '{"reason": "r", "until": "soon"}', 400, "until:"),
        ("split", "seen", '{"which": {"colour": ["red"]}, "reason": "r"}', 400, "name members by"),
        ("split", "seen", '{"which": {}, "reason": "r"}', 400, "which:"),
        ("split", "seen", '{"which": {"ci_id": ["a"], "ci_id": ["b"]}, "reason": "r"}', 400, "'ci_id' is there more"),
        ("merge", "seen", '{"others": {"SELF": "x"}, "reason": "r"}', 400, "into itself"),
    ],
)
def test_an_act_that_cannot_be_understood_is_told_with_what_to_say(
    steward: httpx.Client, what: str, tag: str | None, body: str, status: int, said: str
) -> None:
    case, current = fresh(steward)
    name = case["case"]["case_id"]
    headers = {} if tag is None else {"If-Match": current if tag == "seen" else tag}
    answer = steward.post(f"/v1/cases/{name}/{what}", content=body.replace("SELF", name), headers=headers)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
    assert seen(steward, name) == (case, current)


def test_what_is_not_ones_own_is_as_if_it_were_not_there(service: Served, steward: httpx.Client) -> None:
    case, tag = fresh(steward)
    name = case["case"]["case_id"]
    not_there = steward.get("/v1/cases/000000000000")
    assert not_there.status_code == 404
    for principal, purpose in (("trading_department", None), ("steward", "audit"), ("trading_agent", None)):
        with service.client(principal, purpose) as client:
            for what, headers in (("comment", {"If-Match": tag}), ("comment", {}), ("merge", {"If-Match": "nonsense"})):
                answer = client.post(f"/v1/cases/{name}/{what}", json={"text": "x"}, headers=headers)
                other = client.post(f"/v1/cases/000000000000/{what}", json={"text": "x"}, headers=headers)
                assert (answer.status_code, answer.content) == (404, not_there.content)
                assert (other.status_code, other.content) == (404, not_there.content)
            assert client.get(f"/v1/cases/{name}").content == not_there.content
    assert seen(steward, name) == (case, tag)


def test_whoever_may_read_and_not_act_is_told_so(service: Served, steward: httpx.Client) -> None:
    case, tag = fresh(steward)
    name = case["case"]["case_id"]
    with service.client("auditor") as client:
        assert client.get(f"/v1/cases/{name}").status_code == 200
        answer = act(client, name, "comment", tag, text="x")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    with AuditLog(service.settings.audit) as log:
        last = [entry.fields for entry in log.entries()][-1]
    assert (last["principal"], last["decision"]) == ("auditor", "deny")
    assert f"comment {name}" in last["reason"]
    assert seen(steward, name) == (case, tag)


def test_nobody_acts_without_a_token(service: Served) -> None:
    with service.client() as client:
        answer = client.post("/v1/cases/000000000000/comment", content="not json")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_findings_have_names_of_their_own(steward: httpx.Client) -> None:
    for path, dataset in {
        "anomalies": "quality/anomalies", "cases": "exceptions/cases", "scorecards": "quality/scorecards",
        "root-causes": "quality/root_causes", "admission": "admission/ledger", "waivers": "exceptions/waivers",
        "control/standard_metrics": "control/standard_metrics",
    }.items():  # fmt: skip
        told = steward.get(f"/v1/{path}?limit=3").json()
        assert told["dataset"] == dataset
        day = f"day={told['day']}&" if told["day"] else ""
        assert told["rows"] == steward.get(f"/v1/datasets/{dataset}/rows?{day}limit=3").json()["rows"]
    ranks = steward.get("/v1/rankings/application?top=5&order=rate").json()["rows"]
    assert [row["rank_by_rate"] for row in ranks] == [1, 2, 3, 4, 5]
    assert {row["dimension"] for row in ranks} == {"application"}
    (total,) = steward.get("/v1/statistics").json()["rows"]
    by_system = steward.get("/v1/statistics?by=system&limit=1000").json()["rows"]
    assert sum(row["anomalies"] for row in by_system) == total["anomalies"] > 0
    for wrong in ("rankings/site?top=0", "rankings/site?order=x", "rankings/site?limit=3", "statistics?by=system+site"):
        assert steward.get(f"/v1/{wrong}").status_code == 400
    (anomaly,) = steward.get("/v1/anomalies?limit=1").json()["rows"]
    assert steward.get(f"/v1/anomalies/{anomaly['anomaly_id']}").json() == anomaly
