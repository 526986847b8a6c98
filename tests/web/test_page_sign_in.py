"""Signing in to the web page at an identity provider (authorization code with PKCE), and over plain HTTP."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Error as PlaywrightError

from tests.support.drivers.web_pages import Visitor, visitor
from tests.support.servers.sign_in_provider import CLIENT
from tests.support.servers.simulators import eventually
from tests.support.servers.stacks import RunningStack


@pytest.fixture
def person(chromium: Browser, stack: RunningStack, provider: str) -> Iterator[Visitor]:
    """A visitor whose browser reaches the service and the provider, and nothing else."""
    with visitor(chromium, stack.url, {"width": 1000, "height": 700}, (provider,)) as visiting:
        yield visiting


def leave(person: Visitor, provider: str, route: str) -> None:
    """Open the page at a route, and leave it for the provider."""
    person.open(route)
    person.page.get_by_role("button", name=f"Sign in at {provider.removeprefix('http://')}").click()
    expect(person.page.get_by_role("heading", name="Provider")).to_be_visible()


def kept(person: Visitor) -> list[int | str]:
    """Return how much the browser keeps: in the session storage, in the local storage, and in cookies."""
    found: list[int | str] = person.page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]")
    return found


def test_a_person_signs_in_at_the_provider_and_comes_back_to_the_same_view(person: Visitor, provider: str) -> None:
    page = person.page
    leave(person, provider, "#/jobs?state=failed")
    assert "code_challenge_method=S256" in page.url
    page.get_by_role("link", name="Continue as nurse").click()
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    expect(page.get_by_text("You have no jobs yet.")).to_be_visible()
    assert page.url == f"{person.url}/#/jobs?state=failed"
    page.reload()
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert kept(person) == [0, 0, ""]
    assert (person.foreign, person.errors) == ([], [])


def test_a_refusal_at_the_provider_is_said_in_words(person: Visitor, provider: str) -> None:
    leave(person, provider, "#/submit")
    person.page.get_by_role("link", name="Refuse").click()
    expect(person.page.get_by_role("alert")).to_have_text("You could not be signed in. The person refused.")
    assert person.page.url == f"{person.url}/#/submit"
    assert kept(person) == [0, 0, ""]


def test_an_answer_that_this_tab_did_not_ask_for_signs_nobody_in(person: Visitor, provider: str) -> None:
    leave(person, provider, "")
    answer = person.page.get_by_role("link", name="Continue as nurse").get_attribute("href") or ""
    code = httpx.URL(answer).params["code"]
    person.open(f"?code={code}&state=another")
    expect(person.page.get_by_role("alert")).to_contain_text("The answer does not belong to this sign-in.")
    # the attempt is over, so the right answer comes too late
    person.page.goto(answer)
    expect(person.page.get_by_label("API key")).to_be_visible()
    assert kept(person) == [0, 0, ""]


@pytest.mark.slow_subject("web-page")
def test_the_provider_of_these_tests_gives_no_token_without_the_verifier(person: Visitor, provider: str) -> None:
    leave(person, provider, "")
    answer = httpx.URL(person.page.get_by_role("link", name="Continue as nurse").get_attribute("href") or "")
    asked = {"grant_type": "authorization_code", "client_id": CLIENT, "redirect_uri": f"{person.url}/"}
    form = {**asked, "code": answer.params["code"], "code_verifier": "a guess"}
    assert httpx.post(f"{provider}/token", data=form, trust_env=False).json() == {"error": "invalid_grant"}


@pytest.mark.slow_subject("web-page")
def test_the_page_works_on_a_host_name_without_tls(chromium: Browser, stack: RunningStack, provider: str) -> None:
    """There, browsers have no `crypto.subtle`, no `crypto.randomUUID` and no clipboard."""
    url = stack.url.replace("127.0.0.1", "masks.test")
    with visitor(chromium, url, {"width": 1000, "height": 700}) as plain:
        plain.sign_in(stack.api_key, "#/submit")
        assert plain.page.evaluate("[isSecureContext, typeof crypto.randomUUID]") == [False, "undefined"]
        expect(plain.page.get_by_role("heading", name="Submit images")).to_be_visible()
        plain.page.get_by_role("button", name="Sign out").click()
        expect(plain.page.get_by_text("only over https")).to_be_visible()
        # the browser says that it ignores a header there
        assert [error for error in plain.errors if "Cross-Origin-Opener-Policy" not in error] == []


@pytest.mark.slow_subject("web-page")
def test_a_key_that_is_withdrawn_ends_the_session_in_words(stack: RunningStack, desktop: Visitor) -> None:
    file = Path(stack.environment["MASKRELAY_KEYS_FILE"])
    before, key = file.read_text(), "mr_for_an_hour"
    entry = {"tenant": "local", "sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": ["read"]}

    def status() -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{stack.url}/v1/jobs", headers=headers, trust_env=False).status_code

    file.write_text(json.dumps([*json.loads(before), entry]))
    try:
        assert eventually(lambda: status() == 200)
        desktop.sign_in(key)
        expect(desktop.page.get_by_role("heading", name="Jobs")).to_be_visible()
    finally:
        file.write_text(before)
    assert eventually(lambda: status() == 401)
    alert = desktop.page.get_by_role("alert")
    submit = desktop.page.get_by_role("navigation").get_by_role("link", name="Submit")
    with suppress(PlaywrightError):  # the list of jobs may have asked the service before, and then the link is gone
        submit.click(timeout=5_000)
    expect(alert).to_contain_text("the service no longer accepts your key or token")
    desktop.page.get_by_label("API key").fill(stack.api_key)
    desktop.page.keyboard.press("Enter")
    expect(desktop.page.get_by_role("heading", name=re.compile("^(Submit images|Jobs)$"))).to_be_visible()
