"""Which submitted items of a finished job a redrive repeats: those with failed frames; of a zip only these members."""

from collections.abc import Callable, Iterable

from maskrelay.contract.records.dead_letter_records import DeadLetter
from maskrelay.contract.records.job import Item
from maskrelay.errors import ArchiveNested, BurnedInAnnotation, DirectoryFile, NoPixels, NotAnImage, ZeroSized

#: Errors that no further attempt changes: the kind of the file, or what the job's own options refuse.
FINAL = frozenset(
    cls.code for cls in (ArchiveNested, BurnedInAnnotation, DirectoryFile, NoPixels, NotAnImage, ZeroSized)
)
#: For each source, the zip members by their offset, with the custom ids of their items; None: the whole source.
_Places = dict[str, dict[int, str] | None]


def is_redriven(letter: DeadLetter, code: str | None) -> bool:
    """Return whether a failed frame is repeated: if it has the given code, or without one, any
    error that can change.
    """
    return letter.error.code == code if code is not None else letter.error.code not in FINAL


def items_again(
    items: Iterable[Item], letters: Iterable[DeadLetter], members_of: Callable[[DeadLetter], tuple[str, ...]]
) -> list[Item]:
    """Return the items to submit again, in their order. An item of several frames is repeated as a whole.

    members_of: returns the custom ids of the submitted items that a failed item was made of, if there were several. It
    is called once per item. The members of a series whose own frames succeeded are included (with an empty `only`), so
    that the series stays the same.
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
        # items from a zip have other custom ids than the zip
        if item.custom_id in named or (item.kind == "zip" and item.source in places)
    ]


def _note(places: _Places, letter: DeadLetter) -> None:
    known = places.setdefault(letter.source, {})
    if letter.offset is None:
        places[letter.source] = None
    elif known is not None:
        known[letter.offset] = letter.custom_id
