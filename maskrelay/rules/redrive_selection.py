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
#: What to repeat of each upload, by the storage key of the upload. None means the whole upload. For a zip archive, a
#: dict contains the members to repeat: the custom id of the item of each member, by the offset of the member.
_Places = dict[str, dict[int, str] | None]


def is_redriven(letter: DeadLetter, code: str | None) -> bool:
    """Return whether a failed frame is repeated.

    If `code` is not None, a frame is repeated if its error has this code. Otherwise, a frame is repeated if the code of
    its error is not in FINAL.
    """
    return letter.error.code == code if code is not None else letter.error.code not in FINAL


def items_again(
    items: Iterable[Item], letters: Iterable[DeadLetter], members_of: Callable[[DeadLetter], tuple[str, ...]]
) -> list[Item]:
    """Return the items to submit again, in the order of `items`. An item of several frames is repeated as a whole.

    `letters` are the dead letters to repeat. If a failed item was made from several submitted items, `members_of`
    returns their custom ids. It is called once for each failed item. If one frame of a series failed, the other uploads
    of the series are submitted again too, with an empty `only`, so that the new job forms the same series.
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
        # A zip archive is found by its source, because the items made from it have other custom ids than the archive.
        if item.custom_id in named or (item.kind == "zip" and item.source in places)
    ]


def _note(places: _Places, letter: DeadLetter) -> None:
    known = places.setdefault(letter.source, {})
    if letter.offset is None:
        places[letter.source] = None
    elif known is not None:
        known[letter.offset] = letter.custom_id
