"""The pages as answers: who is let in, whose forms count, who was faster, and whose rows are counted."""

from __future__ import annotations

import re
import shutil
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
import yaml
from browsing import Parsed, crawl
from fastapi import FastAPI, Request
from nights import DAY, Home
from served import Served, copy_of, opener, served, token_of

from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.pages.forgery import form_token
from omgov_assets.interface_service.pages.signing_in import cookie_name, is_secure

GROUP = "desk_team"
# Who sees a case need not see what happened to it.
NO_HISTORY = """
@id("newcomers-see-no-history")
forbid (principal == Principal::"newcomer", action == Action::"read", resource == Dataset::"exceptions/case_events");
"""


@pytest.fixture(scope="module")
def pages(night_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service over a copy of the governed home, by rules that know a support group's member as well."""
    folder = tmp_path_factory.mktemp("pages")
    for name in ("governance", "expectations"):
        shutil.copytree(night_home.project / name, folder / "project" / name)
    settings = Settings(copy_of(night_home, folder / "home").path, folder / "project")
    group = open_case(settings, "responsible_kind = 'support_group' AND status = 'open'")["responsible"]
    path = settings.project / "governance" / "access" / "access.yaml"
    rules = yaml.safe_load(path.read_text(encoding="utf-8"))
    member = {
        "id": GROUP,
        "roles": ["support_group_member"],
        "clearance": 2,
        "purposes": ["operations"],
        "support_groups": [group],
        "valid_until": date(2027, 12, 31),
    }
    rules["principals"] += [member | {"id": "newcomer"}, member]
    path.write_text(yaml.safe_dump(rules, allow_unicode=True), encoding="utf-8")
    policies = path.with_name("datasets.cedar")
    policies.write_text(policies.read_text(encoding="utf-8") + NO_HISTORY, encoding="utf-8")
    with served(settings) as running:
        yield running


def rows(settings: Settings, table: str, condition: str = "true") -> list[dict[str, Any]]:
    """Rows of a table as the lake holds them, whoever may see them."""
    lake = Lake(settings.lake, settings.dataset_contracts)
    with lake.connect() as con:
        lake.register(con, "rows_of_table", table, date.fromisoformat(DAY))
        found: list[dict[str, Any]] = (
            con.sql(f"FROM rows_of_table WHERE {condition} ORDER BY ALL").to_arrow_table().to_pylist()
        )
    return found


def open_case(settings: Settings, condition: str = "status = 'open'") -> dict[str, Any]:
    return rows(settings, "exceptions/cases", condition)[0]


def refused(answer: httpx.Response, status: int = 403) -> bool:
    return answer.status_code == status and "text/html" in answer.headers["content-type"]


# --- signing in ------------------------------------------------------------------------------------------------------


def test_who_is_not_known_is_shown_the_sign_in_page_and_then_what_was_asked_for(pages: Served) -> None:
    with pages.client() as client:
        asked = client.get("/cases?severity=critical")
        assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=%2Fcases%3Fseverity%3Dcritical")
        form = client.get(asked.headers["location"])
        assert Parsed(form.text).fields("/sign-in")["next"] == "/cases?severity=critical"
        wrong = client.post("/sign-in", data={"token": "omgov_000000000000_" + "x" * 43, "next": "/"})
        assert wrong.status_code == 401
        assert "proves nothing" in wrong.text
        assert "set-cookie" not in wrong.headers
        token = token_of(pages.settings, "steward")
        signed = client.post("/sign-in", data={"token": token, "next": "/cases?severity=critical"})
        assert (signed.status_code, signed.headers["location"]) == (303, "/cases?severity=critical")
        cookie = signed.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert client.get("/cases?severity=critical").status_code == 200


@pytest.mark.parametrize("path", ["/nowhere", "/pages/none", "/anomalies/a/b"])
def test_an_address_that_leads_nowhere_is_a_page_with_the_way_home_to_browsers_alone(pages: Served, path: str) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "zh-CN"}
    with pages.client() as client, pages.client("steward") as program:
        shown = client.get(path, headers=browser)
        assert refused(shown, 404)
        assert Parsed(shown.text).links.count("/") == 2
        assert '<html lang="zh-Hans">' in shown.text
        assert shown.headers["content-security-policy"].startswith("default-src 'none'")
        assert client.head(path, headers=browser).headers["content-type"].startswith("text/html")
        others = [client.get(path), program.get(path, headers=browser), client.post(path, headers=browser)]
        others += [client.get(f"/{door}{path}", headers=browser) for door in ("v1", "sharing", "metrics", "healthz")]
        for answer in others:
            assert answer.status_code == 404
            assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil", "", "x"])
def test_signing_in_leads_nowhere_else(pages: Served, target: str) -> None:
    with pages.client() as client:
        token = token_of(pages.settings, "steward")
        assert client.post("/sign-in", data={"token": token, "next": target}).headers["location"] == "/"


def test_another_site_can_sign_nobody_in(pages: Served) -> None:
    token = token_of(pages.settings, "steward")
    with pages.client() as client:
        for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            assert refused(client.post("/sign-in", data={"token": token}, headers=headers)), headers


def test_a_revoked_token_ends_with_the_next_request(pages: Served) -> None:
    token = token_of(pages.settings, "steward")
    with pages.client() as client:
        client.post("/sign-in", data={"token": token})
        assert client.get("/cases").status_code == 200
        with TokenStore(pages.settings.tokens) as tokens:
            tokens.revoke(token.split("_")[1], datetime.now(UTC))
        ended = client.get("/cases")
        assert (ended.status_code, ended.headers["location"]) == (303, "/sign-in?next=%2Fcases&why=ended")
        assert 'omgov=""' in ended.headers["set-cookie"]


def test_while_the_rules_cannot_be_read_pages_say_so_and_nobody_is_signed_out(pages: Served) -> None:
    rules = pages.settings.project / "governance" / "access" / "access.yaml"
    sound = rules.read_text(encoding="utf-8")

    def comes_to(client: httpx.Client, status: int) -> httpx.Response:
        until = time.monotonic() + 20
        while (answer := client.get("/cases?status=open")).status_code != status:
            assert time.monotonic() < until
            time.sleep(0.1)
        return answer

    token = token_of(pages.settings, "steward")
    with pages.client() as client, pages.client() as stranger:
        client.post("/sign-in", data={"token": token})
        comes_to(client, 200)
        # As while somebody saves it.
        rules.write_text(sound[: len(sound) // 2] + "\n: [", encoding="utf-8")
        try:
            told = comes_to(client, 503)
            assert (
                "The access rules cannot be read at present; nothing is given. Try again, or see the log." in told.text
            )
            in_chinese = client.get("/cases", headers={"Accept-Language": "zh-CN"})
            assert "目前无法读取访问规则" in in_chinese.text
            form = client.post("/sign-in", data={"token": token})
            act = client.post("/cases/none/acknowledge", data={})
            for answer in (told, in_chinese, form, act, stranger.get("/cases")):
                assert refused(answer, 503)
                assert answer.headers["retry-after"] == "5"
                assert "set-cookie" not in answer.headers
        finally:
            rules.write_text(sound, encoding="utf-8")
        comes_to(client, 200)


def test_behind_tls_the_cookie_is_of_this_host_and_of_tls_alone(pages: Served) -> None:
    app = FastAPI()
    with opener(pages.settings)() as service:
        service.public_url = "https://omgov.example.com"
        app.state.service = service
        scope = {"type": "http", "scheme": "http", "headers": [], "server": ("127.0.0.1", 80), "path": "/", "app": app}
        assert is_secure(Request(scope))
        assert cookie_name(Request(scope)) == "__Host-omgov"
        assert cookie_name(Request(scope | {"root_path": "/omgov"})) == "__Secure-omgov"


# --- answers ---------------------------------------------------------------------------------------------------------


def test_every_page_forbids_what_it_does_not_need_and_is_kept_nowhere(pages: Served) -> None:
    with pages.client("steward") as client:
        answers = [client.get(path) for path in ("/", "/cases", "/anomalies/none", "/sign-in", "/cases?day=x")]
        answers.append(client.post("/cases/none/acknowledge"))
        sheet = re.search(r'href="(/pages/style\.[0-9a-f]+\.css)"', answers[0].text)
        assert sheet
        style = client.get(sheet[1])
    for answer in answers:
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert not [one for one in Parsed(answer.text).elements if one[0] == "script" or "style" in one[1]]
    assert style.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert [answer.status_code for answer in answers] == [200, 200, 404, 200, 400, 415]


def test_the_language_is_the_browsers_until_one_is_chosen(pages: Served) -> None:
    with pages.client("steward") as client:
        assert '<html lang="zh-Hans">' in client.get("/", headers={"Accept-Language": "zh-CN,en;q=0.5"}).text
        assert '<html lang="en">' in client.get("/", headers={"Accept-Language": "fr, *"}).text
        assert '<html lang="zh-Hans">' in client.get("/?lang=zh").text
        assert '<html lang="zh-Hans">' in client.get("/cases", headers={"Accept-Language": "en"}).text


def test_all_that_links_lead_to_is_there(pages: Served) -> None:
    with pages.client("steward") as client:
        found = crawl(client, most=36)
    kinds = {address.partition("?")[0].split("/")[1] for address in found}
    assert kinds >= {"", "rankings", "anomalies", "cases", "admission", "policies"}


def test_a_list_goes_on_until_everything_was_shown_once(pages: Served) -> None:
    kept = rows(pages.settings, "quality/anomalies", "severity = 'warning' AND system = 'cmdb'")
    shown: list[str] = []
    with pages.client("steward") as client:
        address = "/anomalies?severity=warning&system=cmdb"
        for _ in range(100):
            page = Parsed(client.get(address).text)
            shown += re.findall(r"/anomalies/([0-9a-f]+)\?", " ".join(page.links))
            following = [link for link in page.links if "after=" in link]
            if not following:
                break
            address = following[0]
        assert refused(client.get("/anomalies?after=bm9uc2Vuc2U"), 400)
    assert len(shown) == len(kept)
    assert set(shown) == {row["anomaly_id"] for row in kept}


# --- whose rows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/rankings/support_group?day=0001-01-01", 200),
        ("/rankings/application?start=" + "9" * 30, 200),
        ("/admission/none?still=1&replayed=" + "9" * 5000, 404),
        *(("/anomalies?after=" + urlsafe_b64encode(cursor).decode().rstrip("="), 400) for cursor in (
            b"[" * 3000,
            b'[Infinity, 1, "2026-11-20", "a", "b", "c", "d"]',
            b'[0, %d, "2026-11-20", "a", "b", "c", "d"]' % 10**30,
            b'[0, 1, "2026-11-20", "a", "b", "c", "\\ud800"]',
        )),
    ],
)  # fmt: skip
def test_an_address_that_nobody_was_shown_is_no_failure(pages: Served, path: str, status: int) -> None:
    with pages.client("steward") as client:
        assert client.get(path).status_code == status


def test_a_business_department_counts_its_own_systems_and_is_told_what_it_may_not_see(pages: Served) -> None:
    own = rows(pages.settings, "quality/anomalies", "system IN ('securities_trading', 'institutional_trading')")
    with pages.client("trading_department") as client:
        first = Parsed(client.get("/").text)
        assert f"{len(own):,} anomalies." in first.text
        assert "/cases" not in first.links
        assert "/admission" not in first.links
        assert "exceptions/cases" in first.text.rpartition("left out here")[2]
        for path in ("/cases", "/cases/x", "/admission", "/policies"):
            denied = client.get(path)
            assert refused(denied), path
            assert "not among what trading_department may see for reporting" in Parsed(denied.text).text
            dataset = {
                "cases": "exceptions/cases",
                "admission": "admission/ledger",
                "policies": "quality/check_results",
            }
            explained = f"omgov access explain trading_department {dataset[path.split('/')[1]]} --purpose reporting"
            assert explained in Parsed(denied.text).text
        ranking = Parsed(client.get("/rankings/system").text)
        assert f"{len(own):,} anomalies in all." in ranking.text
        assert "wealth_management" not in ranking.text
        others = rows(pages.settings, "quality/anomalies", "system = 'wealth_management'")[0]
        hidden, unknown = client.get(f"/anomalies/{others['anomaly_id']}"), client.get("/anomalies/0123456789abcdef")
        assert hidden.status_code == unknown.status_code == 404
        assert hidden.text.replace(others["anomaly_id"], "0123456789abcdef") == unknown.text
        # What it chooses by cannot lead it to what is not its own.
        assert "No anomaly fits" in client.get("/anomalies?system=wealth_management").text


def test_a_support_group_acts_on_its_cases_and_on_no_others(pages: Served) -> None:
    group = yaml.safe_load((pages.settings.project / "governance/access/access.yaml").read_text(encoding="utf-8"))
    (own_group,) = group["principals"][-1]["support_groups"]
    own = open_case(pages.settings, f"status = 'open' AND responsible = '{own_group}'")
    others = open_case(pages.settings, f"status = 'open' AND responsible <> '{own_group}'")
    with pages.client(GROUP) as client:
        listed = Parsed(client.get("/cases").text)
        kept = rows(pages.settings, "exceptions/cases", f"responsible = '{own_group}' AND status <> 'closed'")
        assert len({link for link in listed.links if re.match(r"/cases/\w+$", link)}) == len(kept)
        page = Parsed(client.get(f"/cases/{own['case_id']}").text)
        assert "history is not among what you may see" not in page.text
        assert "opened by the night" in page.text
        fields = page.fields("/acknowledge")
        assert client.get(f"/cases/{others['case_id']}").status_code == 404
        stolen = client.post(
            f"/cases/{others['case_id']}/acknowledge", data=fields | {"last_event_id": others["last_event_id"]}
        )
        assert refused(stolen, 404)
        assert client.post(f"/cases/{own['case_id']}/acknowledge", data=fields).status_code == 303
        events = client.get("/v1/datasets/exceptions/case_events/rows?limit=1000").json()["rows"]
        assert {event["case_id"] for event in events} == {case["case_id"] for case in kept}
    assert open_case(pages.settings, f"case_id = '{own['case_id']}'")["status"] == "acknowledged"
    assert open_case(pages.settings, f"case_id = '{others['case_id']}'")["status"] == "open"
    with pages.client("newcomer") as client:
        page = Parsed(client.get(f"/cases/{own['case_id']}").text)
        assert "history is not among what you may see" in page.text


def test_records_that_came_in_are_all_accounted_for(pages: Served) -> None:
    entries = rows(pages.settings, "admission/ledger")
    refused = sum(entry["rows_in"] - entry["rows_admitted"] - entry["rows_quarantined"] for entry in entries)
    with pages.client("engineer") as client:
        (lead,) = re.findall(r'<p class="lead">(.*?)</p>', client.get("/admission").text)
    came, *rest = re.findall(r"([\d,]+) (?:records in|admitted|quarantined|refused with)", lead)
    assert len(rest) == (3 if refused else 2)
    assert int(came.replace(",", "")) == sum(int(figure.replace(",", "")) for figure in rest)


def test_whoever_gives_a_case_away_is_told_that_it_is_done(pages: Served) -> None:
    group = yaml.safe_load((pages.settings.project / "governance/access/access.yaml").read_text(encoding="utf-8"))
    (own_group,) = group["principals"][-1]["support_groups"]
    own = f"status <> 'closed' AND responsible = '{own_group}'"
    to = open_case(pages.settings, f"responsible_kind = 'support_group' AND responsible <> '{own_group}'")[
        "responsible"
    ]
    with pages.client(GROUP) as client:
        given = open_case(pages.settings, own)
        fields = Parsed(client.get(f"/cases/{given['case_id']}").text).fields("/reassign")
        form = fields | {"group": to, "reason": "theirs"}
        answer = client.post(f"/cases/{given['case_id']}/reassign", data=form, follow_redirects=True)
        assert (answer.status_code, answer.url.path) == (200, "/cases")
        assert "Done: reassigned. The case is no longer among those that you may see." in answer.text
        given = open_case(pages.settings, own)
        done = client.post(
            f"/v1/cases/{given['case_id']}/assign",
            json={"group": to, "reason": "theirs"},
            headers={"If-Match": f'"{given["last_event_id"]}"'},
        )
        assert (done.status_code, done.content) == (204, b"")
        assert client.get(f"/v1/cases/{given['case_id']}").status_code == 404
    assert open_case(pages.settings, f"case_id = '{given['case_id']}'")["responsible"] == to


def test_who_may_look_and_not_act_is_offered_nothing_and_does_nothing(pages: Served) -> None:
    case = open_case(pages.settings)
    with pages.client("auditor") as client:
        page = client.get(f"/cases/{case['case_id']}").text
        assert "You may look at this case, not act on it." in page
        token = form_token(client.headers["Authorization"].partition(" ")[2])
        form = {"form_token": token, "last_event_id": case["last_event_id"]}
        assert refused(client.post(f"/cases/{case['case_id']}/acknowledge", data=form))
    assert open_case(pages.settings, f"case_id = '{case['case_id']}'")["status"] == "open"


def test_a_case_offers_what_it_can_be_given_to_and_says_what_cannot_be(pages: Served) -> None:
    case = open_case(pages.settings, "status = 'open' AND cause_id IS NOT NULL")
    path = f"/cases/{case['case_id']}"
    with pages.client("steward") as client:
        html = client.get(path).text
        lists = {
            name: re.findall(r'<option value="([^"]*)">([^<]*)</option>', options)
            for name, options in re.findall(r'<datalist id="(\w+)">(.*?)</datalist>', html, re.DOTALL)
        }
        assert set(re.findall(r' list="(\w+)"', html)) == set(lists) == {"groups", "persons", "mergeable"}
        groups = {row["support_group_id"] for row in rows(pages.settings, "cmdb/support_groups")}
        assert {key for key, _ in lists["groups"]} == groups - {case["responsible"]}
        assert lists["persons"][0][0] == "steward"
        assert "the key of an owner in the CMDB" in Parsed(html).text
        kept = {row["case_id"]: row for row in rows(pages.settings, "exceptions/cases")}
        offered = [kept[key] for key, _ in lists["mergeable"]]
        assert case["case_id"] not in {one["case_id"] for one in offered}
        assert not [one for one in offered if one["status"] in ("closed", "merged")]
        is_alike = [
            one["anomaly_type"] == case["anomaly_type"] or one["cause_id"] == case["cause_id"] for one in offered
        ]
        assert is_alike == sorted(is_alike, reverse=True)
        assert 1 < len(offered) <= 50
        assert all(" · " in text and "open anomal" in text for _, text in lists["mergeable"])
        fields = Parsed(html).fields("/merge")
        for into in ("0123456789ab", case["case_id"]):
            answer = client.post(f"{path}/merge", data={**fields, "into": into, "reason": "one cause"})
            assert answer.status_code == 422
            assert "That case cannot take it. Nothing was done." in answer.text
            assert "Something is missing" not in answer.text
        assert "Something is missing" in client.post(f"{path}/merge", data={**fields, "into": ""}).text


def test_times_say_their_zone_and_reasons_of_the_gate_are_words_in_the_language_of_the_page(pages: Served) -> None:
    entry = rows(pages.settings, "admission/ledger", "decision = 'partial'")[0]
    case = open_case(pages.settings)["case_id"]
    with pages.client("engineer") as client:
        batch = client.get(f"/admission/{entry['batch_id']}?lang=zh").text
        for html in (batch, client.get("/admission?lang=zh").text, client.get("/?lang=zh").text):
            assert "类型不符" in html
            assert "not_convertible" not in html
        details = re.findall(r'<small lang="en"><bdi>([^<]+)</bdi></small>', batch)
        assert [text for text in details if " is not a" in text]
        assert "时间均为 Asia/Shanghai 时区。" in batch
        at = entry["received_at"].astimezone(UTC)
        assert f'title="{at:%Y-%m-%d %H:%M} UTC">' in batch
        shown = client.get(f"/cases/{case}?lang=en").text
        assert "Times are those of Asia/Shanghai." in shown
        assert re.search(r'<time [^>]*title="[-0-9]{10} [0-9:]{5} UTC">', shown)


# --- forms -----------------------------------------------------------------------------------------------------------


def test_a_form_counts_only_where_it_comes_from_a_page_of_ones_own(pages: Served) -> None:
    case = open_case(pages.settings)
    path = f"/cases/{case['case_id']}/acknowledge"
    with pages.client("steward") as mine, pages.client("steward") as another:
        good = Parsed(mine.get(f"/cases/{case['case_id']}").text).fields("/acknowledge")
        strange = Parsed(another.get(f"/cases/{case['case_id']}").text).fields("/acknowledge")
        attempts: list[tuple[dict[str, str], dict[str, str]]] = [
            ({**good, "form_token": ""}, {}),
            ({**good, "form_token": strange["form_token"]}, {}),
            (good, {"Origin": "https://evil.example"}),
            (good, {"Origin": "null"}),
            (good, {"Origin": "http://["}),
            (good, {"Origin": pages.url.removeprefix("http:")}),
            (good, {"Origin": f"{pages.url}/x"}),
            (good, {"Sec-Fetch-Site": "cross-site"}),
            (good, {"Sec-Fetch-Site": "same-site"}),
        ]
        for fields, headers in attempts:
            answer = mine.post(path, data=fields, headers=headers)
            assert refused(answer), (fields, headers)
            assert "Nothing was done" in answer.text
        assert mine.get(path).status_code == 405
        assert mine.post(path, json=good).status_code == 415
        assert open_case(pages.settings, f"case_id = '{case['case_id']}'")["status"] == "open"
        done = mine.post(path, data=good, headers={"Origin": pages.url, "Sec-Fetch-Site": "same-origin"})
        assert (done.status_code, done.headers["location"]) == (303, f"/cases/{case['case_id']}?done=acknowledged#said")


def test_who_was_slower_is_shown_what_happened_and_loses_nothing_that_was_typed(pages: Served) -> None:
    case = open_case(pages.settings)
    path = f"/cases/{case['case_id']}"
    with pages.client("steward") as steward, pages.client("engineer") as engineer:
        seen = Parsed(steward.get(path).text).fields("/comment")
        theirs = Parsed(engineer.get(path).text).fields("/claim-fix")
        assert engineer.post(f"{path}/claim-fix", data={**theirs, "text": "agent restarted"}).status_code == 303
        slower = steward.post(f"{path}/comment", data={**seen, "text": "who looks at it?"})
        assert slower.status_code == 409
        page = Parsed(slower.text)
        assert "Somebody was faster. Nothing was done." in page.text
        # Advice of the command line is no help on a page.
        assert "look at it again" in page.text
        assert "omgov cases show" not in page.text
        assert "fix claimed by engineer" in page.text
        assert "agent restarted" in page.text
        assert "who looks at it?" in page.text
        again = page.fields("/comment")
        assert steward.post(f"{path}/comment", data={**again, "text": "who looks at it?"}).status_code == 303
        # A fix that was claimed cannot be claimed again; a form without its text does nothing either.
        fields = {**again, "last_event_id": Parsed(steward.get(path).text).fields("/comment")["last_event_id"]}
        impossible = steward.post(f"{path}/claim-fix", data={**fields, "text": "me too"})
        assert impossible.status_code == 409
        assert "This is not possible now" in impossible.text
        assert steward.post(f"{path}/waive", data={**fields, "until": "soon", "reason": "x"}).status_code == 422
        assert steward.post(f"{path}/reassign", data={**fields, "group": "SG-none", "reason": "x"}).status_code == 409
        assert refused(steward.post(f"{path}/close", data=fields), 404)


def test_an_engineer_replays_a_batch_and_a_steward_may_not(pages: Served) -> None:
    entry = rows(pages.settings, "admission/ledger", "decision = 'partial'")[0]
    where = f"/admission/{entry['batch_id']}"
    with pages.client("steward") as steward, pages.client("engineer") as engineer:
        looked = steward.get(where).text
        assert "Replay what was refused" not in looked
        assert f"{entry['rows_quarantined']:,}" in looked
        page = Parsed(engineer.get(where).text)
        fields = page.fields("/replay")
        assert fields["dataset"] == entry["dataset"]
        assert "Refused records" in page.text
        token = form_token(steward.headers["Authorization"].partition(" ")[2])
        assert refused(steward.post(f"{where}/replay?day={DAY}", data=fields | {"form_token": token}))
        done = engineer.post(f"{where}/replay?day={DAY}", data=fields)
        assert done.status_code == 303
        assert "stay refused" in engineer.get(done.headers["location"]).text
