"""The choice of the items that a redrive of a finished job repeats.

These are the submitted items with failed frames. If an item is a zip archive, only the members with failed frames are
repeated.
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
#: For each source, the zip members to repeat: the custom id of each member's item by the member's offset. None means
#: the whole source.
_Places = dict[str, dict[int, str] | None]


def is_redriven(letter: DeadLetter, code: str | None) -> bool:
    """Return whether a failed frame is repeated.

    If a code is given, a frame is repeated if its error has this code. Otherwise, a frame is repeated if the code of
    its error is not in FINAL.
    """
    return letter.error.code == code if code is not None else letter.error.code not in FINAL


def items_again(
    items: Iterable[Item], letters: Iterable[DeadLetter], members_of: Callable[[DeadLetter], tuple[str, ...]]
) -> list[Item]:
    """Return the items to submit again, in their order. An item of several frames is repeated as a whole.

    If a failed item was made from several submitted items, `members_of` returns their custom ids. It is called once per
    item. If one frame of a series failed, the other members of the series are submitted again too, with an empty
    `only`, so the new job forms the same series.
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
        # the custom id of an item from a zip archive differs from that of the archive
        if item.custom_id in named or (item.kind == "zip" and item.source in places)
    ]


def _note(places: _Places, letter: DeadLetter) -> None:
    known = places.setdefault(letter.source, {})
    if letter.offset is None:
        places[letter.source] = None
    elif known is not None:
        known[letter.offset] = letter.custom_id
