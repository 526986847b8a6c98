"""The whole way through the web page with a real browser, at a desk and on a phone, and while the connection is cut.

A browser of these tests reaches only the service itself, as in a hospital without internet.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Route, ViewportSize, expect

from maskrelay.imaging.draw.palette import PALETTE
from tests.support.drivers.web_pages import Visitor, visitor
from tests.support.proxies.tcp_proxy import TcpProxy
from tests.support.servers.simulators import RunningSimulator
from tests.support.servers.stacks import RunningStack
from tests.web.page_images import DISC, LIVER, ct_slices, eye

ITEMS = 100
NAME = "A hundred eyes"


@pytest.fixture(scope="module")
def hundred(stack: RunningStack) -> str:
    """A job with a hundred items, which has ended."""
    with stack.client() as client:
        files = [eye(str(number), 64)["buffer"] for number in range(ITEMS)]
        job = client.submit(files, DISC, outputs=["mask", "preview"], metadata={"name": NAME})
        return str(client.wait(job.id).id)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A folder to drop: pictures, a file that is not an image, a series, and a file of the operating system."""
    root = tmp_path_factory.mktemp("dropped") / "study"
    (root / "ct").mkdir(parents=True)
    for name in ("left.png", "right.png"):
        (root / name).write_bytes(eye(name)["buffer"])
    for number, file in enumerate(ct_slices(8)):
        (root / "ct" / f"{number:03}.dcm").write_bytes(file)
    (root / "notes.txt").write_bytes(b"not an image")
    (root / "Thumbs.db").write_bytes(b"thumbnails")
    (pictures / "by_address.png").write_bytes(eye("by_address.png")["buffer"])
    return root


@pytest.mark.parametrize(
    ("size", "advance", "back"),
    [
        pytest.param({"width": 1280, "height": 860}, "ArrowRight", "ArrowLeft", id="desk"),
        pytest.param(
            {"width": 390, "height": 844},
            "ArrowLeft",
            "ArrowRight",
            id="phone",
            marks=pytest.mark.slow_subject("web-page"),
        ),
    ],
)
def test_the_whole_way(
    chromium: Browser,
    stack: RunningStack,
    axe: str,
    folder: Path,
    pictures: Path,
    hundred: str,
    size: ViewportSize,
    advance: str,
    back: str,
) -> None:
    with visitor(chromium, stack.url, size) as person:
        signs_in(person, axe, stack.api_key)
        submits_and_watches(person, axe, folder, f"{pictures.as_uri()}/by_address.png")
        looks_at_the_series(person, axe, stack)
        reviews(person, axe, stack, hundred, advance, back)
        person.page.get_by_role("button", name="Sign out").click()
        expect(person.page.get_by_label("API key")).to_be_visible()
        assert person.page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]
        assert stack.api_key not in person.page.url
        assert (person.foreign, person.errors) == ([], [])


def accessible(person: Visitor, axe: str) -> None:
    """Check that the view has no barriers, in the light and in the dark scheme, and fits into the window."""
    assert person.barriers(axe) == []
    assert person.overflow() <= 0


def signs_in(person: Visitor, axe: str, key: str) -> None:
    page = person.page
    person.open()
    expect(page.get_by_text("For research use only")).to_be_visible()
    accessible(person, axe)
    page.get_by_label("API key").fill("mr_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The service does not know this key.")
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    accessible(person, axe)


def submits_and_watches(person: Visitor, axe: str, folder: Path, address: str) -> None:
    page = person.page
    page.get_by_role("navigation").get_by_role("link", name="Submit").click()
    person.drop(folder)
    plan = page.get_by_role("region", name="What will happen")
    page.get_by_text("Or give addresses").click()
    page.get_by_label("Addresses").focus()
    page.keyboard.insert_text(address)
    for prompt in (LIVER, DISC):
        page.get_by_role("combobox", name="Prompt").fill(prompt)
        page.keyboard.press("Enter")
    for words in ("11 files", "8 DICOM files", "2 pictures", "1 address", "1 file of the operating system"):
        expect(plan).to_contain_text(words)
    page.get_by_text("Options (the defaults suit most images)").click()
    page.get_by_label("Also make a run card").check()
    accessible(person, axe)
    page.get_by_role("button", name="Submit", exact=True).click()
    person.ended("Partly succeeded")
    failures = page.get_by_role("region", name="Failures")
    expect(failures).to_contain_text("not an image that the service can read")
    expect(failures.get_by_role("link", name="study/notes.txt")).to_be_visible()
    expect(page.locator("canvas.thumbnail.loaded").first).to_be_visible()
    accessible(person, axe)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Run card").click()
    assert saved.value.path().read_bytes().lower().startswith(b"<!doctype html>")


def looks_at_the_series(person: Visitor, axe: str, stack: RunningStack) -> None:
    page = person.page
    items = httpx.get(
        f"{stack.url}/v1/jobs/{page.url.split('/')[-1].split('?')[0]}/items",
        headers={"Authorization": f"Bearer {stack.api_key}"},
        trust_env=False,
    ).json()["items"]
    (number,) = [item["item"] for item in items if len(item.get("frames") or []) == 8]
    page.evaluate("scrollTo(0, document.body.scrollHeight)")  # on a phone, only the nearest cards are in the document
    page.locator(f"a.card[href$='/items/{number}']").click()
    person.viewer()
    position, opacity = page.locator(".scroller output"), page.get_by_label(f"Opacity of {LIVER}")
    first = int(position.inner_text().split(" / ")[0])
    # the ball of the series is in the middle of the image
    opacity.fill("100")
    person.until_pixel(0.5, 0.5, list(PALETTE[0]))
    opacity.fill("0")
    person.until_other(0.5, 0.5, [list(PALETTE[0])])
    page.locator(".stage").hover()
    page.mouse.wheel(0, 100)
    expect(position).to_have_text(f"{first + 1} / 8")
    page.locator(".stage").focus()
    page.keyboard.press("Home")
    expect(position).to_have_text("1 / 8")
    accessible(person, axe)


def reviews(person: Visitor, axe: str, stack: RunningStack, job: str, advance: str, back: str) -> None:
    """Review a hundred items by keyboard: every fifth one with one verdict, the others with the other one."""
    page = person.page
    page.get_by_role("navigation").get_by_role("link", name="Jobs").click()
    page.get_by_role("link", name=NAME).click()
    page.get_by_role("link", name="Review the masks").click()
    person.viewer()
    current = page.locator(".gallery .cell").filter(has=page.locator("[aria-current]"))
    for number in range(ITEMS):
        expect(current).to_have_attribute("aria-posinset", str(number + 1))
        expect(page.locator(".item-title")).not_to_have_text("Loading …")
        page.keyboard.press(back if number % 5 == 0 else advance)
    expect(page.locator("p.verdict")).to_have_attribute("data-pending", "0")
    accessible(person, axe)
    shown = httpx.get(
        f"{stack.url}/v1/jobs/{job}/reviews", headers={"Authorization": f"Bearer {stack.api_key}"}, trust_env=False
    ).json()
    (you,) = shown["readers"]
    fifth, others = ("accepted", "rejected") if back == "ArrowRight" else ("rejected", "accepted")
    assert (shown["reviewed"], you[fifth], you[others]) == (ITEMS, ITEMS // 5, ITEMS - ITEMS // 5)


@pytest.fixture
def proxy(stack: RunningStack) -> Iterator[TcpProxy]:
    """A proxy between the browser and the service."""
    passing = TcpProxy(("127.0.0.1", int(stack.url.rpartition(":")[2])))
    yield passing
    passing.close()


def test_a_view_goes_on_after_the_connection_was_cut(chromium: Browser, stack: RunningStack, proxy: TcpProxy) -> None:
    simulator = RunningSimulator(stack.simulator, "")
    with visitor(chromium, f"http://127.0.0.1:{proxy.port}", {"width": 900, "height": 700}) as person:
        person.sign_in(stack.api_key)
        simulator.set(service_time=3.0)
        try:
            person.submit([eye("one.png")], DISC)
            proxy.cut()
            expect(person.page.get_by_text("The connection is interrupted.")).to_be_visible()
        finally:
            simulator.set(service_time=0.0)
        proxy.mend()
        person.ended("Succeeded")
        expect(person.page.locator("canvas.thumbnail.loaded")).to_have_count(1)
        assert person.foreign == []


@pytest.mark.slow_subject("web-page")
def test_a_key_that_is_pressed_before_the_next_item_is_there_judges_nothing(
    stack: RunningStack, hundred: str, desktop: Visitor
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    desktop.page.route("**/items?offset=60&**", hold)
    desktop.sign_in(stack.api_key, f"#/jobs/{hundred}/review")
    desktop.viewer()
    page, title = desktop.page, desktop.page.locator(".item-title")
    for _ in range(60):
        page.keyboard.press("n")
    expect(title).to_have_text("Loading …")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("3")
    expect(title).to_have_text("Loading …")
    for route in held:
        route.fallback()
    expect(title).not_to_have_text("Loading …")
    assert "PUT" not in sent
    assert len(held) > 0
