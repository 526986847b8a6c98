"""The list of what is in an image, read off a lock."""

import pytest

from tools.sbom import document, read_lock

LOCK = """\
redis==7.4.1 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via maskrelay (pyproject.toml)
kombu==5.7.0 \\
    --hash=sha256:{one} \\
    --hash=sha256:{two}
    # via
    #   -c requirements/all.lock
    #   celery
celery==5.7.0 \\
    --hash=sha256:{one}
    # via
    #   -c requirements/all.lock
    #   maskrelay (pyproject.toml)
tzdata==2026.6 ; sys_platform == 'win32' \\
    --hash=sha256:{two}
    # via celery
""".format(one="1" * 64, two="2" * 64)


@pytest.fixture
def sbom() -> dict:
    return document("api", "1.2.3", read_lock(LOCK))


def test_it_lists_what_linux_installs_with_the_hashes_it_may_have(sbom: dict):
    assert [one["purl"] for one in sbom["components"]] == [
        "pkg:pypi/redis@7.4.1",
        "pkg:pypi/kombu@5.7.0",
        "pkg:pypi/celery@5.7.0",
    ]
    assert [one["value"] for one in sbom["components"][1]["properties"]] == ["1" * 64, "2" * 64]


def test_it_says_who_needs_what(sbom: dict):
    needs = {one["ref"]: one["dependsOn"] for one in sbom["dependencies"]}
    assert needs["maskrelay-api@1.2.3"] == ["pkg:pypi/celery@5.7.0", "pkg:pypi/redis@7.4.1"]
    assert needs["pkg:pypi/celery@5.7.0"] == ["pkg:pypi/kombu@5.7.0"]
    assert needs["pkg:pypi/redis@7.4.1"] == []


def test_the_same_lock_makes_the_same_document_and_another_another(sbom: dict):
    assert document("api", "1.2.3", read_lock(LOCK)) == sbom
    other = document("api", "1.2.3", read_lock(LOCK.replace("5.7.0", "5.7.1")))
    assert other["serialNumber"] != sbom["serialNumber"]
