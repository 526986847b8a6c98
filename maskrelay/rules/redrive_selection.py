"""The choice of the submitted items of a finished job that a redrive repeats.

They are the items with failed frames. Of a zip archive, only the members with failed frames are repeated.
"""

from collections.abc import Callable, Iterable

from maskrelay.contract.records.dead_letter_records import DeadLetter
from maskrelay.contract.records.job import Item
from maskrelay.errors import ArchiveNested, BurnedInAnnotation, DirectoryFile, NoPixels, NotAnImage, ZeroSized

#: The codes of errors that a further attempt cannot change, because the file is of the wrong kind or the job's own
#: options refuse it.
FINAL = frozenset(
    cls.code for cls in (ArchiveNested, BurnedInAnnotation, DirectoryFile, NoPixels, NotAnImage, ZeroSized)
)
#: The zip members to repeat for each source: their offsets, with the custom ids of their items. None means the whole
#: source.
_Places = dict[str, dict[int, str] | None]


def is_redriven(letter: DeadLetter, code: str | None) -> bool:
    """Return whether a failed frame is repeated.

    If a code is given, the frame's error must have this code. Without a code, every frame is repeated whose error is
    not FINAL.
    """
    return letter.error.code == code if code is not None else letter.error.code not in FINAL


def items_again(
    items: Iterable[Item], letters: Iterable[DeadLetter], members_of: Callable[[DeadLetter], tuple[str, ...]]
) -> list[Item]:
    """Return the items to submit again, in their order. An item of several frames is repeated as a whole.

    `members_of` returns the custom ids of the submitted items from which a failed item was made, if there were several.
    It is called once per item. If one frame of a series failed, the other members of the series are submitted again
    too, with an empty `only`, so the new job forms the same series.
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
        # items from a zip have custom ids that differ from that of the zip
        if item.custom_id in named or (item.kind == "zip" and item.source in places)
    ]


def _note(places: _Places, letter: DeadLetter) -> None:
    known = places.setdefault(letter.source, {})
    if letter.offset is None:
        places[letter.source] = None
    elif known is not None:
        known[letter.offset] = letter.custom_id
