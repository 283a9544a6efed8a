"""The pages in a real browser, without script: a steward's morning by mouse and by keyboard, at a desk and by phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browsing import PHONE, chromium, overflow, window
from playwright.sync_api import Browser, Locator, Page, expect
from served import Served, token_of


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def sign_in(page: Page, service: Served, principal: str = "steward", path: str = "/") -> None:
    page.goto(service.url + path)
    page.get_by_label("Token").or_(page.get_by_label("令牌")).fill(token_of(service.settings, principal))
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")


def test_a_steward_finds_out_why_an_instance_is_flagged_and_acts_on_its_case(browser: Browser, service: Served) -> None:
    with window(browser) as page:
        sign_in(page, service)
        assert page.title().startswith("Data governance of 2026-11-20")
        page.get_by_role("link", name="Rankings").click()
        page.get_by_role("region", name="support groups").get_by_role("link").nth(4).click()
        expect(page.get_by_role("list", name="Conditions")).to_contain_text("support group")
        page.get_by_label("Severity").select_option("critical")
        page.get_by_role("button", name="Show").last.click()
        page.get_by_role("region", name="Single anomalies").get_by_role("link").first.click()
        expect(page.get_by_role("heading", name="Why it is flagged")).to_be_visible()
        page.locator("dt:text-is('Case') + dd a").click()
        page.get_by_role("button", name="Acknowledge").click()
        expect(page.get_by_role("status")).to_contain_text("Done: acknowledged")
        page.get_by_text("Comment, or link a ticket").click()
        page.get_by_label("Comment", exact=True).fill("asked the 供应商 <b>twice</b>\nno answer yet")
        page.get_by_label("Ticket").fill("OPS-17")
        page.get_by_role("button", name="Add").click()
        history = page.locator("ol.history")
        expect(history).to_contain_text("asked the 供应商 <b>twice</b>")
        expect(history).to_contain_text("by steward")
        # Reloading does nothing again: what was sent was answered by another address.
        events = history.locator("li").count()
        page.reload()
        assert history.locator("li").count() == events


def test_everything_can_be_done_by_keyboard_alone(browser: Browser, service: Served) -> None:
    with window(browser) as page:
        page.goto(f"{service.url}/cases?severity=critical&status=open")
        # The field has the focus, and the address that was asked for is where one comes to.
        page.keyboard.type(token_of(service.settings, "steward"))
        page.keyboard.press("Enter")
        page.wait_for_url("**/cases?**")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to the content")
        expect(page.locator(":focus")).to_be_in_viewport()
        page.keyboard.press("Enter")
        tab_to(page, "tbody a")
        assert page.locator(":focus").evaluate("element => getComputedStyle(element).outlineStyle") != "none"
        page.keyboard.press("Enter")
        page.wait_for_url("**/cases/*")
        tab_to(page, "summary:has-text('Waive until a day')")
        page.keyboard.press("Enter")
        tab_to(page, "input[type=date]")
        page.keyboard.type("12122026")
        tab_to(page, "textarea[name=reason]")
        page.keyboard.type("replaced next week")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/cases/*?done=waived**")
        expect(page.get_by_role("status")).to_contain_text("waived")
        assert "waived until 2026-12-12" in page.locator("dl.figures").inner_text()


def test_no_page_is_wider_than_a_phone_or_a_desk_and_each_says_where_one_is(browser: Browser, service: Served) -> None:
    with window(browser, PHONE, "zh-CN") as page:
        sign_in(page, service)
        assert page.locator("html").get_attribute("lang") == "zh-Hans"
        first = page.get_by_role("region").first
        expect(first).to_be_visible()
        for path in ("/", "/rankings/host", "/anomalies", "/cases", "/admission", "/policies"):
            page.goto(service.url + path)
            assert overflow(page) == 0, path
            assert page.locator("nav [aria-current=page]").count() >= 1, path
            # Every table says what it is, every field has a name.
            assert page.locator("table").count() == page.locator("table > caption").count(), path
            assert page.locator("select:visible").count() <= page.locator("label").count(), path
        for lead in ("/anomalies", "/cases", "/policies", "/admission"):
            page.goto(service.url + lead)
            page.locator("tbody th a:visible").first.click()
            assert overflow(page) == 0, page.url
        page.get_by_role("link", name="English").click()
        assert page.locator("html").get_attribute("lang") == "en"
        # The choice is kept.
        page.goto(f"{service.url}/policies")
        assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_what_headings_promise(browser: Browser, service: Served, width: int) -> None:
    promised = {
        "/": {
            "findings": ("Anomalies", "New", "Since", "Mostly where", "Mostly whose"),
            "cases": ("Open", "Whose", "Since", "Due"),
        },
        "/cases": {"found": ("Open", "Whose", "Since", "Due")},
        "/anomalies?severity=critical": {"list": ("Observed", "Whose", "Since")},
        "/admission": {None: ("Records in", "Admitted", "Quarantined")},
    }
    with window(browser, (width, 844)) as page:
        sign_in(page, service)
        for path, tables in promised.items():
            page.goto(service.url + path)
            for name, labels in tables.items():
                table = page.locator(f"[aria-labelledby={name}] table" if name else "table").first
                is_shown(page, table, labels)
        # An anomaly's record stands nowhere else.
        page.goto(f"{service.url}/anomalies?severity=critical")
        page.locator("table.stack tbody th a").first.click()
        table = page.locator("[aria-labelledby=why] table")
        is_shown(page, table, ("Expected", "Observed", "Policy", "Batch and record"))
        expect(table).to_contain_text("record ")
        page.goto(f"{service.url}/admission?decision=partial")
        page.locator("table.stack tbody th a").first.click()
        expect(page.get_by_role("region").first).to_contain_text("is not of its type")
        assert overflow(page) == 0


def is_shown(page: Page, table: Locator, labels: tuple[str, ...]) -> None:
    """Each row of a stacked table shows a cell for each label, and nothing has to be scrolled sideways."""
    assert overflow(page) == 0, page.url
    rows = table.locator("tbody tr").count()
    assert rows
    width = (page.viewport_size or {"width": 0})["width"]
    for label in labels:
        cells = table.locator(f"tbody [data-label='{label}']")
        assert cells.count() == rows, (page.url, label)
        for cell in (cells.first, cells.last):
            expect(cell).to_be_visible()
            box = cell.bounding_box()
            assert box is not None
            assert box["x"] >= 0, (page.url, label)
            assert box["x"] + box["width"] <= width, (page.url, label)
            said = cell.evaluate("cell => getComputedStyle(cell, '::before').content")
            assert label in said, (page.url, label)
    hidden = "sheets => sheets.filter(one => one.scrollWidth > one.clientWidth).length"
    assert page.locator(".sheet").evaluate_all(hidden) == 0, page.url


def test_only_prose_begins_with_a_capital(browser: Browser, service: Served) -> None:
    first = "heading => getComputedStyle(heading, '::first-letter').textTransform"
    with window(browser) as page:
        sign_in(page, service, path="/admission?decision=partial")
        page.locator("tbody th a").first.click()
        assert page.locator("h1").evaluate(first) == "none"
        assert "_" in page.locator("h1").inner_text()
        page.goto(f"{service.url}/anomalies?severity=critical")
        page.locator("table.stack tbody th a").first.click()
        assert page.locator("h1").evaluate(first) == "uppercase"


def test_signing_out_leaves_nothing_and_the_page_says_so(browser: Browser, service: Served) -> None:
    with window(browser) as page:
        sign_in(page, service)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert [one["name"] for one in page.context.cookies()] == []
        page.go_back()
        page.reload()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def tab_to(page: Page, selector: str, most: int = 80) -> None:
    """Press Tab until an element that the selector names has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.locator(selector).and_(page.locator(":focus")).count():
            return
    raise AssertionError(f"{selector} cannot be reached by Tab")
