"""A real browser on the pages of a service, without script: Chromium, where it is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

# A closed network refuses what Chromium asks of its maker; these flags keep it from asking.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK, PHONE = (1440, 900), (390, 844)


@contextmanager
def chromium() -> Iterator[Browser]:
    """An installed Chromium; the test is skipped where there is none."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium is installed; on Debian: apt-get install chromium fonts-noto-cjk")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@contextmanager
def window(browser: Browser, size: tuple[int, int] = DESK, locale: str = "en-GB") -> Iterator[Page]:
    """A page in which no script runs; whatever the browser complains of fails the test."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale=locale, java_script_enabled=False
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    # A status that the test asked for is no complaint.
    assert [one for one in complaints if "Failed to load resource" not in one] == []


def overflow(page: Page) -> int:
    """Pixels that the page is wider than its window."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider


class Parsed(HTMLParser):
    """A page as its elements, links and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def links(self) -> list[str]:
        return [str(attributes["href"]) for tag, attributes in self.elements if tag == "a" and attributes.get("href")]

    def fields(self, action: str) -> dict[str, str]:
        """Hidden fields of the form that is sent to an address ending so."""
        inside, found = False, {}
        for tag, attributes in self.elements:
            if tag == "form":
                inside = str(attributes.get("action", "")).partition("?")[0].endswith(action)
            elif inside and tag == "input" and attributes.get("type") == "hidden":
                found[str(attributes["name"])] = str(attributes["value"])
        return found


def crawl(client: httpx.Client, start: str = "/", most: int = 60) -> dict[str, str]:
    """Pages that links lead to from a page, by address: of each kind (path without its last part) the first few."""
    waiting, seen, pages, kinds = [start], {start}, dict[str, str](), dict[str, int]()
    while waiting and len(pages) < most:
        address = waiting.pop(0)
        answer = client.get(address)
        assert answer.status_code == 200, (address, answer.status_code, answer.text[-500:])
        pages[address] = answer.text
        for link in Parsed(answer.text).links:
            target = urljoin(address, link).partition("#")[0]
            parts = urlsplit(target)
            assert not parts.netloc, f"{address} links to {link}"
            if parts.path.endswith("/download"):
                continue
            names = sorted(one.partition("=")[0] for one in parts.query.split("&"))
            kind = f"{parts.path.rpartition('/')[0] or parts.path}?{','.join(names)}"
            if target not in seen and kinds.get(kind, 0) < 2:
                kinds[kind] = kinds.get(kind, 0) + 1
                seen.add(target)
                waiting.append(target)
    return pages
