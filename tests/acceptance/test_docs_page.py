"""The reference of the HTTP API in a real browser: everything is there, and nothing breaks the policy of the page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from api.routes import ROUTES
from tests.support.checks.system_programs import system_program
from tests.support.servers.apis import RunningApi, a_valkey, running_api


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningApi]:
    with a_valkey() as url, running_api(tmp_path / "store", url) as api:
        yield api


@pytest.fixture
def page() -> Iterator[Page]:
    chromium = system_program("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def test_the_reference_names_every_route_and_asks_nobody_else(service: RunningApi, page: Page) -> None:
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{service.url}/docs")
    page.wait_for_selector("#schema-jobshown")
    titles = set(page.locator("#reference h3").all_inner_texts())
    assert titles >= {f"{route.method} {route.path}" for route in ROUTES}
    assert page.locator("#schema-jobshown table").count() == 1
    page.locator("nav a", has_text="GET /v1/jobs/{job}/events").click()
    assert page.url.endswith("#get-v1-jobs-job-events")
    assert complaints == []
    assert {url for url in asked if not url.startswith(service.url)} == set()
