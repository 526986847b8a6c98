"""One stack, one identity provider and one Chromium for all tests of the web page."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.checks.system_programs import node_file, system_program
from tests.support.drivers.web_pages import Visitor, visitor
from tests.support.servers.sign_in_provider import environment, sign_in_provider
from tests.support.servers.stacks import RunningStack, running_stack


@pytest.fixture(scope="package")
def provider() -> Iterator[str]:
    """The URL of an identity provider."""
    with sign_in_provider() as url:
        yield url


@pytest.fixture(scope="package")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder from which the service may read sources by reference."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, provider: str, pictures: Path) -> Iterator[RunningStack]:
    credentials = pictures.parent / "credentials.json"
    reads = {"local": [f"{pictures.as_uri()}/"]}
    credentials.write_text(json.dumps([{"name": "disk", "kind": "file", "reads": reads}]))
    data = tmp_path_factory.mktemp("stack") / "data"
    with running_stack(data, credentials_file=credentials, **environment(provider)) as running:
        yield running


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    program = system_program("chromium", "chromium")
    with sync_playwright() as playwright:
        # `masks.test` is a host name without TLS, on which browsers refuse what they allow on loopback
        names = "--host-resolver-rules=MAP masks.test 127.0.0.1"
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", names]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def desktop(chromium: Browser, stack: RunningStack) -> Iterator[Visitor]:
    with visitor(chromium, stack.url, {"width": 1280, "height": 860}) as visiting:
        yield visiting


@pytest.fixture(scope="package")
def axe() -> str:
    """Return the program of axe-core, which looks for barriers."""
    return node_file("axe-core/axe.min.js").read_text()
