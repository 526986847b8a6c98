"""One stack and one Chromium for all tests of the web page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.checks.system_programs import node_file, system_program
from tests.support.drivers.web_pages import Visitor, visitor
from tests.support.servers.stacks import RunningStack, running_stack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack") / "data") as running:
        yield running


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    program = system_program("chromium", "chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def desktop(chromium: Browser, stack: RunningStack) -> Iterator[Visitor]:
    with visitor(chromium, stack.url, {"width": 1280, "height": 860}) as visiting:
        yield visiting


@pytest.fixture
def phone(chromium: Browser, stack: RunningStack) -> Iterator[Visitor]:
    with visitor(chromium, stack.url, {"width": 390, "height": 844}) as visiting:
        yield visiting


@pytest.fixture(scope="package")
def axe() -> str:
    """Return the program of axe-core, which looks for barriers."""
    return node_file("axe-core/axe.min.js").read_text()
