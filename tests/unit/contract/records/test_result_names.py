"""The names of result files in the folders of their sources."""

import os
from urllib.parse import unquote_to_bytes

import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.result_names import is_result, stem_of, url_beside
from maskrelay.sources.source_urls import read_source_url

JOB, OTHER = "abcdefghijklmnopqrstuvwx23", keys.id_of_bytes(bytes(32))


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("scan.nii.gz", "scan"),
        ("SCAN.NII.GZ", "SCAN"),
        ("scan.nii", "scan"),
        ("1.dcm", "1"),
        ("1.2.840.113619.2", "1.2.840.113619.2"),
        ("patient 1, left.png", "patient 1, left"),
        ("v1.2-final.tiff", "v1.2-final"),
        ("IM0001", "IM0001"),
        (".png", ".png"),
        (".gz", ""),
    ],
)
def test_a_stem_is_a_name_without_its_ending(name: str, stem: str) -> None:
    assert stem_of(name) == stem


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("s3://b/ct/scan.nii.gz", "s3://b/ct/scan.maskrelay-JOB.0.labels.nii.gz"),
        ("s3://b/scan #1 100%.png", "s3://b/scan #1 100%.maskrelay-JOB.0.labels.nii.gz"),
        ("az://c/a/ä.dcm", "az://c/a/ä.maskrelay-JOB.0.labels.nii.gz"),
        (
            "abfss://c@lake.dfs.core.windows.net/a/b.zip",
            "abfss://c@lake.dfs.core.windows.net/a/b.maskrelay-JOB.0.labels.nii.gz",
        ),
        ("file:///data/a%20b/c%20d.nii.gz", "file:///data/a%20b/c%20d.maskrelay-JOB.0.labels.nii.gz"),
        ("file:///data/%ff.dcm", "file:///data/%FF.maskrelay-JOB.0.labels.nii.gz"),
        ("s3://b/.gz", "s3://b/.gz.maskrelay-JOB.0.labels.nii.gz"),
    ],
)
def test_a_result_is_in_the_folder_of_its_source(source: str, expected: str) -> None:
    url = url_beside(source, JOB, "0.labels.nii.gz")
    assert url == expected.replace("JOB", JOB)
    assert read_source_url(url).text == url
    assert is_result(url)


def test_no_two_files_have_the_same_name() -> None:
    # Two sources with the same stem, two items from one source, two jobs, and two stems that are cut to the same text.
    sources = ["s3://b/scan.png", "s3://b/scan.nii.gz", "s3://b/scan.zip", "s3://b/scan.zip"]
    sources += [f"s3://b/{'x' * 250}{ending}" for ending in (".png", "y.png")]
    ends = [".labels.nii.gz", ".seg.dcm", "-0.mask.nii.gz", "-0-0.mask.png", "-0-1.mask.png", "-0.overlay.png"]
    urls = [
        url_beside(source, job, f"{item}{end}")
        for job in (JOB, OTHER)
        for item, source in enumerate(sources)
        for end in ends
    ]
    assert len(set(urls)) == len(urls) == 2 * len(sources) * len(ends)
    assert all(map(is_result, urls))


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "ä" * 125 + ".png", "%C3%A4" * 125 + ".png"])
def test_a_long_stem_is_cut_between_its_characters(name: str) -> None:
    base = "file:///data/" if "%" in name else "s3://b/"
    url = url_beside(f"{base}{name}", JOB, "12345678-12345678-10.probability.png")
    result = os.fsdecode(unquote_to_bytes(url.removeprefix(base)))
    assert 253 <= len(os.fsencode(result)) <= 255
    assert result.encode().decode() == result
    assert is_result(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://b/scan.nii.gz",
        "s3://b/scan.maskrelay-abc.labels.nii.gz",
        f"s3://b/scan.maskrelay-{JOB}",
        f"s3://b/scan.maskrelay-{JOB.upper()}.png",
        f"s3://b/scan.maskrelay-{JOB[:-1]}1.png",
        f"s3://b/scan.maskrelay-{JOB}.d/scan.nii.gz",
    ],
)
def test_other_files_are_no_results(url: str) -> None:
    assert not is_result(url)
