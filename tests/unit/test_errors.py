"""The tree of errors: drawn as it is, each with a code of its own and a sentence."""

import pickle
import re

import pytest

import maskrelay.errors
from maskrelay.errors import EndpointThrottled, RecordUnreadable, StorageUnavailable, tree

DRAWN = re.compile(r"^    (?P<bars>[│ ]*)(?:├── |└── )?(?P<name>[A-Z]\w+)")
CLASSES = [kind for _, kind in tree()]


def test_the_drawing_shows_every_class_at_its_depth():
    drawn = []
    for line in (maskrelay.errors.__doc__ or "").splitlines():
        found = DRAWN.match(line)
        if found:
            branch = "── " in line
            drawn.append((found["name"], len(found["bars"]) // 4 + branch))
    assert sorted(drawn) == sorted((kind.__name__, depth) for depth, kind in tree())


def test_codes_are_unique():
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_something(kind):
    assert kind().detail.endswith(".")


@pytest.mark.parametrize(
    "code", ["not_an_image", "truncated", "too_many_pixels", "zero_sized", "decoder_crashed", "decode_timeout"]
)
def test_the_promised_codes_exist(code):
    assert code in {kind.code for kind in CLASSES}


@pytest.mark.parametrize(
    "error",
    [
        EndpointThrottled("wait", status=429, kind="rate", retry_after_s=7.0, endpoint="east"),
        StorageUnavailable("full", reason="ENOSPC", refused=True),
        RecordUnreadable(key="jobs/1/job.json"),
    ],
)
def test_an_error_crosses_a_process_with_its_attributes(error):
    crossed = pickle.loads(pickle.dumps(error))
    assert (type(crossed), crossed.args, vars(crossed)) == (type(error), error.args, vars(error))
