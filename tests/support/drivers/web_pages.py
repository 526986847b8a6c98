"""A visitor of the web page: a tab of a real browser that may only reach the service itself."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, FilePayload, Locator, Page, Route, ViewportSize, expect

#: The longest wait for anything on the page, in milliseconds. It only matters when a test fails.
PATIENCE_MS = 120_000
#: Ends with the scheme that a new tab has.
_SCHEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
#: The browser's own report of a response that the page expects and shows in words.
_EXPECTED = "Failed to load resource: the server responded with a status of"
expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Visitor:
    """A tab, the requests to other hosts that it tried, and the errors of the page."""

    page: Page
    url: str
    #: Other hosts that this tab may reach.
    known: tuple[str, ...] = ()
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, route: str = "") -> None:
        self.page.goto(f"{self.url}/{route}")

    def sign_in(self, key: str, route: str = "") -> None:
        self.open(route)
        self.page.get_by_label("API key").fill(key)
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    def submit(self, files: Sequence[FilePayload], *prompts: str) -> None:
        """Submit files through the page, and wait for the page of the job."""
        self.page.get_by_role("navigation").get_by_role("link", name="Submit").click()
        self.page.get_by_label("Files", exact=True).set_input_files(files)
        for prompt in prompts:
            self.page.get_by_role("combobox", name="Prompt").fill(prompt)
            self.page.keyboard.press("Enter")
        self.page.get_by_role("button", name="Submit", exact=True).click()
        expect(self.page.get_by_role("region", name="Progress")).to_be_visible()

    def drop(self, *paths: Path) -> None:
        """Drop files or folders of this machine on the page of submissions, as from a file manager."""
        zone = self.page.locator(".drop")
        zone.scroll_into_view_if_needed()
        box = zone.bounding_box()
        assert box is not None
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 20}
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        session = self.page.context.new_cdp_session(self.page)
        for kind in ("dragEnter", "dragOver", "drop"):
            session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})

    def ended(self, state: str) -> None:
        """Wait until the page of a job shows that it has ended in this state."""
        expect(self.page.locator("h1 + .state, h1 + span .state")).to_have_text(state)

    def viewer(self) -> Locator:
        """Return the viewer when its image is drawn."""
        shown = self.page.locator(".viewer[data-shown]")
        expect(shown).to_be_visible()
        return shown

    def pixels(self, x: float, y: float) -> list[int]:
        """Return the red, green and blue at a point of the viewer's canvas, given as shares of its size."""
        script = """([x, y]) => {
            const canvas = document.querySelector('.stage canvas');
            const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1];
            return [...canvas.getContext('2d').getImageData(...at).data].slice(0, 3);
        }"""
        colour: list[int] = self.page.evaluate(script, [x, y])
        return colour

    def spot(self, x: float, y: float) -> tuple[float, float]:
        """Return where a pixel of a source of 200 × 200 pixels is on the canvas, as shares of its size."""
        script = (
            "(() => { const {clientWidth: w, clientHeight: h} = document.querySelector('.stage'); return [w, h]; })()"
        )
        width, height = self.page.evaluate(script)
        scale = min(width, height) / 200
        return ((width - 200 * scale) / 2 + (x + 0.5) * scale) / width, (
            (height - 200 * scale) / 2 + (y + 0.5) * scale
        ) / height

    def until_pixel(self, x: float, y: float, colour: list[int]) -> None:
        """Wait until the point has this colour."""
        self._until(lambda: self.pixels(x, y) == colour, lambda: f"{self.pixels(x, y)} is not {colour}")

    def until_other(self, x: float, y: float, colours: list[list[int]]) -> list[int]:
        """Wait until the point has none of these colours, and return its colour."""
        self._until(lambda: self.pixels(x, y) not in colours, lambda: f"it still has one of {colours}")
        return self.pixels(x, y)

    def _until(self, holds: Callable[[], bool], reason: Callable[[], str]) -> None:
        for _ in range(PATIENCE_MS // 50):
            if holds():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(reason())

    def barriers(self, axe: str) -> list[str]:
        """Return what axe finds on the page that is serious or critical, in the light and in the dark scheme."""
        found = []
        for scheme in _SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            violations = self.page.evaluate(f"(() => {{ {axe}; return axe.run(); }})()")["violations"]
            found += [
                f"{scheme}, {one['impact']}: {one['id']} at {[node['target'] for node in one['nodes']]}"
                for one in violations
                if one["impact"] in ("serious", "critical")
            ]
        return found

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        wider: int = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return wider


@contextmanager
def visitor(
    browser: Browser, url: str, size: ViewportSize, known: tuple[str, ...] = (), **options: Any
) -> Iterator[Visitor]:
    """Open a tab of its own session. Requests to hosts other than that of the URL and the known ones are refused."""
    context = browser.new_context(viewport=size, locale="en-GB", **options)
    context.set_default_timeout(PATIENCE_MS)
    visiting = Visitor(context.new_page(), url, known)

    def guard(route: Route) -> None:
        if route.request.url.startswith((url, *known, "blob:", "data:")):
            route.continue_()
        else:
            visiting.foreign.append(route.request.url)
            route.abort()

    context.route("**/*", guard)
    visiting.page.on("pageerror", lambda error: visiting.errors.append(str(error)))
    visiting.page.on(
        "console",
        lambda message: (
            visiting.errors.append(message.text)
            if message.type == "error" and not message.text.startswith(_EXPECTED)
            else None
        ),
    )
    yield visiting
    context.close()
