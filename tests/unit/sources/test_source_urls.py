"""The URLs of sources: their canonical form, and what could lead out of a prefix."""

import pytest

from maskrelay.contract.records.source_pins import is_reference, name_in
from maskrelay.errors import SourceInvalid
from maskrelay.sources.source_urls import read_source_url


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("s3://archive/ct/1.dcm", "s3://archive/ct/1.dcm"),
        ("S3://archive/a b/ü#x?y%41.png", "s3://archive/a b/ü#x?y%41.png"),
        ("s3://archive/ct/", "s3://archive/ct/"),
        ("az://images/a/b.png", "az://images/a/b.png"),
        (
            "abfss://images@hospital.dfs.core.windows.net/a.png",
            "abfss://images@hospital.dfs.core.windows.net/a.png",
        ),
        ("gs://bucket/a.nii.gz", "gs://bucket/a.nii.gz"),
        ("file:///data/a%20b.png", "file:///data/a%20b.png"),
        ("file://localhost/data/a.png", "file:///data/a.png"),
        ("file:///data/a%5Cb%0A%FF;.png", "file:///data/a%5Cb%0A%FF;.png"),
        ("https://Images.Example:8443/a.png", "https://images.example:8443/a.png"),
        ("dicomweb+https://pacs.example/studies?PatientID=1", "dicomweb+https://pacs.example/studies?PatientID=1"),
    ],
)
def test_a_url_has_one_canonical_form(given: str, canonical: str) -> None:
    assert read_source_url(given).text == canonical
    assert is_reference(canonical)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "uploads/north/abc",
        "http://images.example/a.png",
        "ftp://images.example/a.png",
        "s3://archive",
        "s3:///key",
        "s3://archive/a/../b",
        "s3://archive/./b",
        "s3://archive/a//b",
        "s3://user:pass@archive/b",
        "az://images@account/b",
        "abfss://images/b",
        "file://server/share/a.png",
        "file:///data/../etc/passwd",
        "file:///data/%2e%2e/etc/passwd",
        "file:///data/..%2Fetc/passwd",
        "file:///data/%2Fetc/passwd",
        "file:///data/a%00.png",
        "https://user:secret@images.example/a.png",
        "https://images.example/a.png?token=secret",
        "https://images.example/a.png#1",
        "https://images.example/%2e%2e/a.png",
        "https://images.example/..;/a.png",
        "https://images.example/a/..\\b.png",
        "https://images.example/a\n.png",
        "https://images.example/a b.png",
        "https://images.example/\u00fc.png",
        "https://images.example:65536/a.png",
        "dicomweb+https://pacs.example/studies?PatientName=A B",
        f"s3://archive/{'k' * 5000}",
    ],
)
def test_a_url_that_could_lead_elsewhere_is_refused_and_not_quoted(given: str) -> None:
    with pytest.raises(SourceInvalid) as caught:
        read_source_url(given)
    assert "secret" not in caught.value.detail


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://archive/ct/1.dcm", "1.dcm"),
        ("s3://archive/ct/100%25.png", "100%25.png"),
        ("file:///data/a%20b.png", "a b.png"),
        ("s3://archive/ct/", None),
    ],
)
def test_the_name_of_a_file_is_the_end_of_its_url(url: str, name: str | None) -> None:
    assert name_in(url) == name
