"""The folders of a listing, one by one, in little memory."""

from collections.abc import Iterator

from maskrelay.sources.source_reader import SourceFacts
from worker.sweep.watched_folders import watched_folders


def listing(*names: str) -> Iterator[SourceFacts]:
    return (SourceFacts(f"s3://b/{name}", 1, '"1"') for name in names)


def found(*names: str, pattern: str | None = None, most: int = 100) -> dict[str, list[str]]:
    folders = [each for each in watched_folders(listing(*names), pattern, most) if each is not None]
    urls = [folder.url for folder in folders]
    assert len(set(urls)) == len(urls)
    return {folder.url: [each.url.rpartition("/")[2] for each in folder.objects] for folder in folders}


def test_the_objects_of_subfolders_may_come_between_those_of_a_folder() -> None:
    assert found("0", "a/1", "a/k/1", "a/k/x/1", "a/m/1", "a/z", "ab/1", "z") == {
        "s3://b": ["0", "z"],
        "s3://b/a": ["1", "z"],
        "s3://b/a/k": ["1"],
        "s3://b/a/k/x": ["1"],
        "s3://b/a/m": ["1"],
        "s3://b/ab": ["1"],
    }


def test_a_folder_is_yielded_when_the_listing_has_left_it() -> None:
    seen: list[str] = []

    def watched() -> Iterator[SourceFacts]:
        for facts in listing("a/1", "a/2", "b/1", "b/2"):
            seen.append(facts.url)
            yield facts

    first = next(watched_folders(watched(), None, 100))
    assert first is not None
    assert (first.url, seen) == ("s3://b/a", ["s3://b/a/1", "s3://b/a/2", "s3://b/b/1"])


def test_only_matching_names_count() -> None:
    assert found("a/1.dcm", "a/2.txt", "b/3.txt", pattern="*.dcm") == {"s3://b/a": ["1.dcm"]}


def test_a_folder_with_too_many_objects_is_yielded_without_them() -> None:
    assert found("a/1", "a/2", "a/3", "b/1", "b/2", most=2) == {"s3://b/a": [], "s3://b/b": ["1", "2"]}


def test_a_folder_that_cannot_be_listed_is_marked_and_separates_nothing() -> None:
    folders = [each for each in watched_folders(listing("a/1", "a/k/", "a/z", "b/1"), "*", 100) if each is not None]
    assert [(each.url, each.count, each.is_readable) for each in folders] == [
        ("s3://b/a/k", 0, False),
        ("s3://b/a", 2, True),
        ("s3://b/b", 1, True),
    ]
