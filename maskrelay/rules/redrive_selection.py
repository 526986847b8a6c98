"""The choice of the items that a redrive of a finished job repeats.

These are the submitted items with failed frames. If an item is a zip archive, only the members with failed frames are
repeated.
"""

from collections.abc import Callable, Iterable

from maskrelay.contract.records.dead_letter_records import DeadLetter
from maskrelay.contract.records.job import Item
from maskrelay.contract.records.source_pins import Pin, is_reference
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

    A source by reference is pinned again, so an object that has changed is processed as it is now. An archive keeps its
    version, because its members are found by their offsets.
    """
    places: _Places = {}
    pins: dict[str, Pin | None] = {}
    named: set[str] = set()
    seen: set[int] = set()
    for letter in letters:
        _note(places, letter)
        pins[letter.source] = letter.pin or pins.get(letter.source)
        named.add(letter.custom_id)
        if letter.item not in seen:
            seen.add(letter.item)
            named.update(members_of(letter))
    # An archive or a collection is found by its source too, because the items made from it have other custom ids: a
    # number is appended to the custom id that was submitted.
    roots = {custom_id.rpartition("/")[0] for custom_id in named}

    def is_among(item: Item) -> bool:
        if item.custom_id in named:
            return True
        several = item.kind == "zip" or (is_reference(item.source) and item.custom_id in roots)
        return several and item.source in places

    return [
        item.model_copy(update={"only": places.get(item.source, {}), "pin": pins.get(item.source)})
        for item in items
        if is_among(item)
    ]


def _note(places: _Places, letter: DeadLetter) -> None:
    known = places.setdefault(letter.source, {})
    if letter.offset is None:
        places[letter.source] = None
    elif known is not None:
        known[letter.offset] = letter.custom_id
