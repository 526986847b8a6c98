"""The views of the web page in a real browser: the viewer, the review, filters and prompts."""

import re

import pytest
from playwright.sync_api import expect

from maskrelay.imaging.draw.palette import PALETTE
from tests.support.drivers.web_pages import Visitor
from tests.support.servers.stacks import RunningStack
from tests.web.page_images import DISC, LIVER, broken, ct, eye


@pytest.mark.slow_subject("web-page")
def test_the_viewer_draws_each_mask_as_its_controls_say(stack: RunningStack, desktop: Visitor) -> None:
    page = desktop.page
    desktop.sign_in(stack.api_key)
    desktop.submit([eye("one.png")], DISC)
    desktop.ended("Succeeded")
    page.locator("a.card").click()
    desktop.viewer()
    centre, opacity = desktop.spot(*measure(desktop, "Centre")), page.get_by_label(f"Opacity of {DISC}")
    half = desktop.pixels(*centre)
    opacity.fill("100")
    desktop.until_pixel(*centre, list(PALETTE[0]))
    opacity.fill("0")
    plain = desktop.until_other(*centre, [half, list(PALETTE[0])])
    opacity.fill("100")
    desktop.until_pixel(*centre, list(PALETTE[0]))
    page.get_by_label(DISC, exact=True).uncheck()
    desktop.until_pixel(*centre, plain)
    page.keyboard.press("Tab")
    page.get_by_label(DISC, exact=True).check()
    page.get_by_label(f"Style of {DISC}").select_option("outline")
    desktop.until_pixel(*centre, plain)
    _, _, left, top = measure(desktop, "Box")
    edge = desktop.spot(measure(desktop, "Centre")[0], top)
    assert left > 0
    desktop.until_pixel(*edge, list(PALETTE[0]))


def measure(visitor: Visitor, name: str) -> list[float]:
    """Return the numbers of a measure in the panel of the masks."""
    row = visitor.page.locator(".measures div").filter(has=visitor.page.get_by_text(name, exact=True)).first
    return [float(number) for number in re.findall(r"[0-9.]+", row.locator("dd").inner_text())]


def test_a_series_is_scrolled_by_wheel_keys_and_slider(stack: RunningStack, desktop: Visitor) -> None:
    page = desktop.page
    desktop.sign_in(stack.api_key)
    desktop.submit([ct(12)], LIVER)
    desktop.ended("Succeeded")
    page.locator("a.card").click()
    desktop.viewer()
    position = page.locator(".scroller output")
    first = int(position.inner_text().split(" / ")[0])
    page.locator(".stage").hover()
    page.mouse.wheel(0, 100)
    expect(position).to_have_text(f"{first + 1} / 12")
    page.keyboard.press("ArrowUp")
    expect(position).to_have_text(f"{first} / 12")
    page.keyboard.press("End")
    expect(position).to_have_text("12 / 12")
    page.get_by_label("Slice", exact=True).fill("2")
    expect(position).to_have_text("3 / 12")
    assert "frame=2" in page.url
    assert (desktop.foreign, desktop.errors) == ([], [])


def test_a_review_by_keyboard_is_kept_and_advances_by_itself(stack: RunningStack, desktop: Visitor, axe: str) -> None:
    page = desktop.page
    desktop.sign_in(stack.api_key)
    desktop.submit([eye(f"{number}.png", 64) for number in range(4)], DISC)
    desktop.ended("Succeeded")
    page.get_by_role("link", name="Review the masks").click()
    desktop.viewer()
    assert desktop.barriers(axe) == []
    cards, verdict = page.locator(".gallery .card"), page.locator("p.verdict")
    expect(cards).to_have_count(4)
    page.keyboard.press("4")
    expect(verdict).to_contain_text("grade 4")
    page.keyboard.press("ArrowRight")
    expect(cards.nth(0)).to_contain_text("Accepted")
    expect(cards.nth(1)).to_have_attribute("aria-current", "true")
    page.keyboard.press("f")
    page.keyboard.press("c")
    page.get_by_label(re.compile("Comment on")).fill("The border is wrong.")
    page.keyboard.press("Control+Enter")
    expect(verdict).to_contain_text("flagged · with a comment")
    page.keyboard.press("ArrowLeft")
    expect(cards.nth(1)).to_contain_text("Rejected")
    page.keyboard.press("ArrowLeft")
    expect(cards.nth(2)).to_contain_text("Rejected")
    page.keyboard.press("u")
    expect(cards.nth(2)).not_to_contain_text("Rejected")
    expect(cards.nth(2)).to_have_attribute("aria-current", "true")

    expect(verdict).to_have_attribute("data-pending", "0")
    page.reload()
    desktop.viewer()
    expect(cards.nth(0)).to_contain_text("Accepted")
    expect(cards.nth(1)).to_contain_text("Rejected")
    expect(cards.nth(2)).not_to_contain_text("Rejected")
    page.get_by_text("Results of the review").click()
    expect(page.locator(".side")).to_contain_text("2 of 4 items have a verdict.")
    assert (desktop.foreign, desktop.errors) == ([], [])


@pytest.mark.slow_subject("web-page")
def test_the_filters_of_the_jobs_are_in_the_url(stack: RunningStack, desktop: Visitor) -> None:
    page = desktop.page
    desktop.sign_in(stack.api_key)
    desktop.submit([broken()], DISC)
    desktop.ended("Failed")
    page.get_by_role("link", name="← Jobs").click()
    page.get_by_label("State").select_option("failed")
    expect(page.locator(".job .state").first).to_have_text("Failed")
    assert page.url.endswith("#/jobs?state=failed")
    page.reload()
    expect(page.get_by_label("State")).to_have_value("failed")
    assert set(page.locator(".job .state").all_inner_texts()) == {"Failed"}


@pytest.mark.slow_subject("web-page")
def test_a_prompt_with_a_mistake_is_corrected_by_one_click(stack: RunningStack, desktop: Visitor) -> None:
    page = desktop.page
    desktop.sign_in(stack.api_key, "#/submit")
    prompt = page.get_by_role("combobox", name="Prompt")
    prompt.fill("liv")
    page.keyboard.press("ArrowDown")
    expect(prompt).to_have_attribute("aria-activedescendant", "suggestion-0")
    page.keyboard.press("Enter")
    expect(page.get_by_role("list", name="Chosen prompts")).to_contain_text("liver in")
    prompt.fill("pancraes in abdomen CT")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="pancreas in abdomen CT", exact=True).click()
    chosen = page.get_by_role("list", name="Chosen prompts")
    expect(chosen).to_contain_text("pancreas in abdomen CT")
    expect(chosen).not_to_contain_text("pancraes")
    page.get_by_label("Files", exact=True).set_input_files([eye("eye.png"), broken()])
    plan = page.get_by_role("region", name="What will happen")
    expect(plan).to_contain_text("2 files (1 picture, 1 unknown file)")
    page.get_by_text("Copy as curl").click()
    for words in (
        "-F 'prompt=pancreas in abdomen CT'",
        'client.submit(["eye.png", "notes.txt"]',
        "maskrelay submit eye.png notes.txt",
    ):
        expect(plan).to_contain_text(words)
