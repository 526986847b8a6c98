"""The run card as HTML: one file without scripts, whose style and pictures are inside it."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from maskrelay.contract.records.job import Result

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 0 2rem 1rem 0; }
caption { font-weight: bold; text-align: left; }
th, td { border: 1px solid #8888; padding: .2rem .6rem; text-align: left; }
td.number { text-align: right; }
.row { align-items: flex-start; display: flex; flex-wrap: wrap; }
figure { margin: 0 1rem 1rem 0; max-width: 320px; }
.notice { border: 2px solid #b45309; padding: .5rem 1rem; }
svg rect { fill: #2563eb; }
svg text { fill: currentColor; font-size: 11px; }
"""


@dataclass(slots=True)
class Facts:
    """The counts that the card shows. The two lists are histograms of values from 0 to 1, over masks with a pixel."""

    probabilities: list[int]
    shares: list[int]
    masks: int = 0
    empty: int = 0
    prompts: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class CardPicture:
    """An item that the card shows. `jpeg` is None if there is no picture of it."""

    item: int
    about: str
    jpeg: bytes | None


def run_card_html(
    result: Result, facts: Facts, random: Sequence[CardPicture], suspicious: Sequence[CardPicture]
) -> str:
    """Return the card as an HTML document."""
    run = {
        "job": result.job,
        "state": result.state,
        "submitted": result.created_at.isoformat(timespec="seconds"),
        "finished": result.finished_at.isoformat(timespec="seconds"),
        **{f"items {name}": count for name, count in result.counts.model_dump().items()},
        **{f"frames {name}": count for name, count in result.frames.model_dump().items() if count},
        "masks": facts.masks,
        "empty masks": facts.empty,
        "scores sent again": result.rescored,
    }
    parts = [
        f"<h1>Run {escape(result.job)}</h1>",
        f'<p class="notice">{escape(result.notice)}</p>',
        '<h2>What was run</h2><div class="row">',
        _table("The run", run),
        _table("Masks by prompt", dict(facts.prompts.most_common(50))),
        _table("Frames by endpoint and model", dict(facts.models)),
        _table("Versions", result.software),
        _table("Seconds by stage", {name: f"{seconds:g}" for name, seconds in result.timings.items()}),
        '</div><h2>What came out</h2><div class="row">',
        _table("Masks by category", dict(facts.categories.most_common())),
        _table("Masks by flag", dict(facts.flags.most_common())),
        _table("Failed frames by error", dict(facts.errors.most_common())),
        '</div><div class="row">',
        _histogram("Mean probability of a mask", facts.probabilities),
        _histogram("Share of the frame that a mask covers", facts.shares),
        "</div>",
        _gallery("The most suspicious items", suspicious, "No item has a flag."),
        _gallery("Random items", random, "There are no pictures of items."),
    ]
    head = f'<meta charset="utf-8"><title>Run {escape(result.job)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _table(caption: str, rows: Mapping[str, object]) -> str:
    if not rows:
        return ""
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="number">{escape(str(value))}</td></tr>'
        for name, value in rows.items()
    )
    return f"<table><caption>{escape(caption)}</caption>{lines}</table>"


def _histogram(title: str, counts: Sequence[int]) -> str:
    """Return a bar chart of counts over equal parts of the range from 0 to 1, as inline SVG."""
    most, width, height = max(*counts, 1), 16, 120
    bars = "".join(
        f'<rect x="{place * width}" y="{height - round(height * count / most)}" width="{width - 2}" '
        f'height="{round(height * count / most)}"><title>{count}</title></rect>'
        for place, count in enumerate(counts)
    )
    across = width * len(counts)
    axis = f'<text x="0" y="{height + 14}">0</text><text x="{across - 8}" y="{height + 14}">1</text>'
    label = f"{title}. The highest bar has {most} masks."
    return (
        f'<figure><svg role="img" aria-label="{escape(label)}" width="{across}" height="{height + 18}">{bars}{axis}'
        f"</svg><figcaption>{escape(label)}</figcaption></figure>"
    )


def _gallery(title: str, pictures: Iterable[CardPicture], none: str) -> str:
    figures = "".join(map(_figure, pictures))
    return f'<h2>{escape(title)}</h2><div class="row">{figures or f"<p>{escape(none)}</p>"}</div>'


def _figure(picture: CardPicture) -> str:
    caption = f"Item {picture.item}: {picture.about}"
    if picture.jpeg is None:
        return f"<figure><figcaption>{escape(caption)} (no picture)</figcaption></figure>"
    source = f"data:image/jpeg;base64,{base64.b64encode(picture.jpeg).decode()}"
    return f'<figure><img src="{source}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'
