"""Takes the pictures of `docs/screenshots/` from what the last `make demo` left in `OMGOV_HOME`.

`make screenshots` runs it. It starts Dagster's own web server, read-only, on the demo's instance and
photographs it with an installed Chromium, along with the report, the rankings as a terminal shows them, and the pages
of the interface service as a steward sees them.
Nothing is staged: the check is the failed one with most expectations, found by GraphQL.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Browser, Error, Page, sync_playwright
from rich.console import Console
from rich.text import Text

PROJECT_ROOT = Path(__file__).resolve().parent.parent
SCREEN = {"width": 1680, "height": 1000}
TERMINAL_COLUMNS = 110
START_TIMEOUT_S = 180
PAGE_TIMEOUT_MS = 60_000

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

# DejaVu's letters are 0.602 em wide: a Chinese character scaled to twice that keeps the columns in line.
TERMINAL_PAGE = """<html><style>
@font-face {{ font-family: cjk; src: local("Noto Sans Mono CJK SC"), local("NotoSansMonoCJKsc-Regular");
  size-adjust: 120.4%; unicode-range: U+2E80-9FFF, U+F900-FAFF, U+FF00-FF60; }}
pre {{ font: 15px/1.3 cjk, "DejaVu Sans Mono", monospace; margin: 0; padding: 24px; display: inline-block; }}
{stylesheet}
</style><pre>{code}</pre></html>"""

CHECKS_QUERY = """
{
  assetNodes {
    assetKey { path }
    groupName
    assetChecksOrError {
      ... on AssetChecks {
        checks {
          name
          executionForLatestMaterialization {
            status
            evaluation { metadataEntries { label ... on TableMetadataEntry { table { records } } } }
          }
        }
      }
    }
  }
}
"""


class ScreenshotError(Exception):
    """A picture cannot be taken; the message says what is missing and what to do."""


def main() -> int:
    """Take all pictures; 1 if one cannot be taken."""
    arguments = _parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_chromium(), args=CHROMIUM_FLAGS)
            with dagster_webserver(arguments.home) as url:
                picture_dagster(browser, url, arguments.out)
            picture_report(browser, arguments.home, arguments.day, arguments.out)
            picture_rankings(browser, arguments.by, arguments.day, arguments.out)
            with interface_service(arguments.home) as url:
                picture_pages(browser, url, arguments.home, arguments.day, arguments.out)
            browser.close()
    except ScreenshotError as error:
        print(f"make screenshots: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def dagster_webserver(home: Path) -> Iterator[str]:
    """Dagster's web server on the demo's instance, read-only; yields its address, stops it afterwards."""
    dagster_home = home / "dagster"
    if not (dagster_home / "history").is_dir():
        raise ScreenshotError(f"{dagster_home} holds no runs; run `make demo` first")
    port = _free_port()
    command = [
        str(Path(sys.executable).with_name("dagster-webserver")),
        *["--workspace", str(PROJECT_ROOT / "workspace.yaml")],
        *["--host", "127.0.0.1", "--port", str(port), "--read-only"],
    ]
    with _running(command, port, home, {"DAGSTER_HOME": str(dagster_home)}):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def interface_service(home: Path) -> Iterator[str]:
    """The interface service on the demo's home; yields its address, stops it afterwards."""
    port = _free_port()
    command = [str(Path(sys.executable).with_name("omgov")), "serve", "--port", str(port), "--log-level", "WARNING"]
    with _running(command, port, home, {}):
        yield f"http://127.0.0.1:{port}"


def picture_dagster(browser: Browser, url: str, out: Path) -> None:
    """The asset graph with its groups, and a failed check with the table of its expectations."""
    page = _open(browser, SCREEN)
    nodes = _asset_nodes(page, url)
    asset, check, group = _most_telling_check(nodes)

    # Groups are folded by default: unfold the check's own and the one of the results.
    opened = sorted({group, "quality"} & {node["groupName"] for node in nodes})
    page.goto(f"{url}/asset-groups?expanded={quote(','.join(f'global@global:{name}' for name in opened))}")
    page.get_by_text(asset.rpartition("/")[2]).first.wait_for()
    _settle(page)
    _save(page, out / "asset_graph.png")

    page.goto(f"{url}/assets/{asset}?view=checks&checkDetail={check}")
    page.get_by_text("Latest execution").wait_for()
    page.get_by_text("Failed").first.wait_for()
    page.locator("table table, table").last.wait_for()
    _settle(page)
    _save(page, out / "check_result.png")
    page.close()


def picture_report(browser: Browser, home: Path, day: str, out: Path) -> None:
    """The day's report as a browser opens it: on a desk, on a phone in the second language, and a group's page."""
    folder = home / "report" / day
    if not (folder / "index.html").is_file():
        raise ScreenshotError(f"no report of {day} under {home / 'report'}; run `make demo DAY={day}` first")
    groups = sorted((folder / "support_group").glob("*.html"))
    pictures = [
        ("report.png", folder / "index.html", {"width": 1440, "height": 1500}),
        ("report_phone.png", folder / "zh" / "index.html", {"width": 390, "height": 844}),
        *(("report_group.png", page, {"width": 1440, "height": 1500}) for page in groups[:1]),
    ]
    for name, path, viewport in pictures:
        if path.is_file():
            page = _open(browser, viewport)
            page.goto(path.as_uri())
            page.locator("main").wait_for()
            _save(page, out / name)
            page.close()


def picture_rankings(browser: Browser, dimensions: list[str], day: str, out: Path) -> None:
    """`omgov rankings` as a terminal shows it."""
    console = Console(record=True, width=TERMINAL_COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    for dimension in dimensions:
        arguments = ["rankings", "--by", dimension, "--top", "8", "--day", day]
        console.print(f"[bold green]$[/] omgov {' '.join(arguments)}", highlight=False)
        console.print(Text.from_ansi(_run_omgov(arguments)))
    page = _open(browser, {"width": 1280, "height": 800})
    page.set_content(console.export_html(code_format=TERMINAL_PAGE))
    page.evaluate("document.fonts.ready")
    page.locator("pre").screenshot(path=out / "rankings.png")
    print(out / "rankings.png")
    page.close()


def picture_pages(browser: Browser, url: str, home: Path, day: str, out: Path) -> None:
    """A steward's morning: what is wrong today, why one instance is flagged, its case, and the same on a phone."""
    who = ["--as", "screenshots", "--home", str(home)]
    scope = ["--scope", "read", "--scope", "act", "--expires-in", "1d"]
    said = _run_omgov(["access", "token", "create", "--principal", "steward", *scope, *who, "--format", "json"])
    token = json.loads(said)[0]
    page = _open(browser, {"width": 1440, "height": 1200})
    _sign_in(page, url, token["token"])
    page.goto(f"{url}/?day={day}")
    _save(page, out / "steward_today.png")
    page.goto(f"{url}/cases?day={day}&severity=critical")
    page.locator("tbody th a").first.click()
    page.locator("dl.figures").wait_for()
    _save(page, out / "steward_case.png")
    page.close()
    page = _open(browser, {"width": 390, "height": 844})
    _sign_in(page, url, token["token"])
    page.goto(f"{url}/?day={day}&lang=zh")
    _save(page, out / "steward_phone.png")
    page.close()
    _run_omgov(["access", "token", "revoke", token["token_id"], "--reason", "the pictures are taken", *who])


def _sign_in(page: Page, url: str, token: str) -> None:
    page.goto(f"{url}/sign-in")
    page.locator("#token").fill(token)
    page.locator("button.main").click()
    page.locator("nav").first.wait_for()


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--day", default="2026-11-20", help="day of the report and the rankings")
    parser.add_argument("--by", nargs="+", default=["support_group", "application"], help="ranking dimensions")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("OMGOV_HOME", ".omgov")))
    parser.add_argument("--out", type=Path, default=PROJECT_ROOT / "docs" / "screenshots")
    arguments = parser.parse_args()
    arguments.home = arguments.home.resolve()
    return arguments


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise ScreenshotError("no Chromium found; on Debian: apt-get install chromium fonts-noto-cjk")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(command: list[str], port: int, home: Path, environment: dict[str, str]) -> Iterator[None]:
    """A server in a process of its own, while the context lasts; what it says is kept only where it fails."""
    log_path = home / "screenshots.log"
    with log_path.open("w", encoding="utf-8") as log:
        surroundings = os.environ | {"OMGOV_HOME": str(home)} | environment
        server = subprocess.Popen(command, cwd=PROJECT_ROOT, env=surroundings, stdout=log, stderr=log)
        try:
            _wait_until_open(server, port, log_path)
            yield
        finally:
            server.terminate()
            server.wait(timeout=30)
    log_path.unlink()


def _wait_until_open(server: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise ScreenshotError(f"the server ended with {server.returncode}; see {log_path}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise ScreenshotError(f"no server opened port {port} in {START_TIMEOUT_S} s; see {log_path}")


def _open(browser: Browser, viewport: dict[str, int]) -> Page:
    context = browser.new_context(
        viewport={"width": viewport["width"], "height": viewport["height"]},
        device_scale_factor=1.5,
        locale="en-GB",
        timezone_id="Asia/Shanghai",
    )
    page = context.new_page()
    page.set_default_timeout(PAGE_TIMEOUT_MS)
    return page


def _asset_nodes(page: Page, url: str) -> list[dict[str, Any]]:
    answer = page.request.post(f"{url}/graphql", data={"query": CHECKS_QUERY}).json()
    if "errors" in answer:
        raise ScreenshotError(f"GraphQL: {answer['errors'][0]['message']}")
    nodes: list[dict[str, Any]] = answer["data"]["assetNodes"]
    if not nodes:
        raise ScreenshotError("the code location has no assets; `dg check defs` says why")
    return nodes


def _most_telling_check(nodes: list[dict[str, Any]]) -> tuple[str, str, str]:
    """Asset, name and group of the failed check with most expectations, the first by name among equals."""
    failed = [
        (-_expectations(check), "/".join(node["assetKey"]["path"]), check["name"], node["groupName"])
        for node in nodes
        for check in node["assetChecksOrError"].get("checks", [])
        if (check["executionForLatestMaterialization"] or {}).get("status") == "FAILED"
    ]
    if not failed:
        raise ScreenshotError("no check has failed; the sample firm's would: run `make demo` first")
    _, asset, check, group = min(failed)
    return asset, check, group


def _expectations(check: dict[str, Any]) -> int:
    evaluation = check["executionForLatestMaterialization"]["evaluation"] or {"metadataEntries": []}
    return sum(len(entry["table"]["records"]) for entry in evaluation["metadataEntries"] if "table" in entry)


def _settle(page: Page) -> None:
    """Wait until nothing is being loaded and two looks at the page in a row are the same."""
    page.locator("[class*=spinner i]").first.wait_for(state="detached")
    before = b""
    for _ in range(40):
        now = page.screenshot()
        if now == before:
            return
        before = now
        page.wait_for_timeout(500)
    raise ScreenshotError(f"{page.url} does not come to rest")


def _save(page: Page, path: Path) -> None:
    try:
        page.screenshot(path=path)
    except Error as error:
        raise ScreenshotError(f"{path.name}: {error.message}") from error
    print(path)


def _run_omgov(arguments: list[str]) -> str:
    environment = os.environ | {
        "FORCE_COLOR": "1",
        "TERM": "xterm-256color",
        "COLUMNS": str(TERMINAL_COLUMNS),
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("omgov")), *arguments],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ScreenshotError(f"omgov {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
