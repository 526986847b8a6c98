"""Which submitted items of a finished job a redrive repeats: those with failed frames, and of a zip only the failed
members.
"""

from collections.abc import Callable, Iterable

from maskrelay.contract.dead_letters import DeadLetter
from maskrelay.contract.jobs import Item
from maskrelay.errors import ArchiveNested, BurnedInAnnotation, DirectoryFile, NoPixels, NotAnImage, ZeroSized

#: What a file is, and what the job's own options refuse, no second try changes.
FINAL = frozenset(
    cls.code for cls in (ArchiveNested, BurnedInAnnotation, DirectoryFile, NoPixels, NotAnImage, ZeroSized)
)
#: Of a source: the members of a zip by where they begin, with what their items were called; None: all of it.
_Places = dict[str, dict[int, str] | None]


def is_redriven(letter: DeadLetter, code: str | None) -> bool:
    """Whether a failed frame is done again: if it failed by the error that was named, or by any that can change."""
    return letter.error.code == code if code is not None else letter.error.code not in FINAL


def items_again(
    items: Iterable[Item], letters: Iterable[DeadLetter], members_of: Callable[[DeadLetter], tuple[str, ...]]
) -> list[Item]:
    """The items to submit again, in their order. An item of several frames is done again as a whole.

    members_of: the custom ids of the submitted items that a failed item was made of, if they were several; asked once
    an item. Those of a series whose own frames are good come along (`only` empty), so that it is the same series.
    """
    places: _Places = {}
    named: set[str] = set()
    seen: set[int] = set()
    for letter in letters:
        _note(places, letter)
        named.add(letter.custom_id)
        if letter.item not in seen:
            seen.add(letter.item)
            named.update(members_of(letter))
    return [
        item.model_copy(update={"only": places.get(item.source, {})})
        for item in items
        # what comes out of a zip goes by other names than the zip
        if item.custom_id in named or (item.kind == "zip" and item.source in places)
    ]


def _note(places: _Places, letter: DeadLetter) -> None:
    known = places.setdefault(letter.source, {})
    if letter.offset is None:
        places[letter.source] = None
    elif known is not None:
        known[letter.offset] = letter.custom_id
