"""Reviews: what a reader may say, who sees it and when, and what is counted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.outcomes import Outcome
from tests.support.drivers.api_jobs import accepted, failed, finish, plan, settle, succeeded
from tests.support.servers.apis import RunningApi

ITEMS = 6


@pytest.fixture
def second(api: RunningApi) -> Iterator[httpx.Client]:
    """A second reader of the same tenant."""
    with api.client("admin") as client:
        yield client


@pytest.fixture
def job(api: RunningApi, north: httpx.Client) -> str:
    """A finished job whose last item has failed."""
    made = accepted(north, *(b"%d" % number for number in range(ITEMS)))
    outcomes: list[Outcome] = [succeeded(api, made, number) for number in range(ITEMS - 1)]
    finish(api, made, *outcomes, failed(ITEMS - 1))
    return made


def address(job: str, item: int) -> str:
    return f"/v1/jobs/{job}/items/{item}/review"


def reviewed(client: httpx.Client, job: str, item: int, verdict: str | None = "accept", **more: Any) -> dict[str, Any]:
    answer = client.put(address(job, item), json={"verdict": verdict, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_last_review_counts_and_the_others_are_kept(north: httpx.Client, job: str) -> None:
    first = reviewed(north, job, 2, "accept", grade=4)
    last = reviewed(north, job, 2, "reject", flag=True, comment="das ist die Milz")
    assert (first["revision"], last["revision"]) == (1, 2)
    shown = north.get(address(job, 2)).json()
    assert shown == {"review": last, "reviews": [], "history": [first, last]}
    assert (last["item"], last["verdict"], last["grade"], last["flag"]) == (2, "reject", None, True)
    assert last["reader"].startswith("key:")


def test_a_review_can_be_withdrawn_in_two_ways(north: httpx.Client, job: str) -> None:
    reviewed(north, job, 0)
    assert north.delete(address(job, 0)).json()["verdict"] is None
    assert north.get(address(job, 0)).json()["review"] is None
    reviewed(north, job, 0)
    assert reviewed(north, job, 0, None)["revision"] == 4
    shown = north.get(address(job, 0)).json()
    assert (shown["review"], [one["verdict"] for one in shown["history"]]) == (None, ["accept", None, "accept", None])


def test_the_second_reader_sees_the_first_review_only_after_his_own(
    north: httpx.Client, second: httpx.Client, job: str
) -> None:
    first = reviewed(north, job, 1, "reject", comment="wrong side")
    assert second.get(address(job, 1)).json()["reviews"] == []
    own = reviewed(second, job, 1, "accept")
    assert second.get(address(job, 1)).json() == {"review": own, "reviews": [first], "history": [own]}
    second.delete(address(job, 1))
    assert second.get(address(job, 1)).json()["reviews"] == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"grade": 3}, "#/verdict"),
        ({"verdict": "maybe"}, "#/verdict"),
        ({"verdict": "accept", "grade": 0}, "#/grade"),
        ({"verdict": "accept", "grade": "5"}, "#/grade"),
        ({"verdict": "accept", "flag": 1}, "#/flag"),
        ({"verdict": "accept", "comment": "x" * 2001}, "#/comment"),
        ({"verdict": "accept", "reader": "somebody else"}, "#/reader"),
    ],
)
def test_a_wrong_review_is_refused_where_it_is_wrong(
    north: httpx.Client, job: str, body: dict[str, Any], place: str
) -> None:
    answer = north.put(address(job, 0), json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert [error["pointer"] for error in answer.json()["errors"]] == [place]
    assert north.get(address(job, 0)).json()["history"] == []


def test_what_is_no_review_is_refused(north: httpx.Client, job: str) -> None:
    for body in (b"", b"[]", b"{", b'{"verdict": "accept", "comment": "\\ud800"}', b"\xff"):
        assert north.put(address(job, 0), content=body).status_code == 400
    assert north.put(address(job, 0), content=b" " * 20_000).status_code == 413
    assert north.put(address(job, ITEMS), json={"verdict": "accept"}).status_code == 404
    assert north.put(address(job, 0).replace("/0/", "/-1/"), json={"verdict": "accept"}).status_code == 400


def test_an_item_of_a_running_job_can_be_reviewed(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    settle(api, job, 1, succeeded(api, job, 0))
    reviewed(north, job, 0)
    assert north.get(f"/v1/jobs/{job}/reviews").json()["sample"] is None
    finish(api, job, succeeded(api, job, 0), succeeded(api, job, 1))
    assert north.get(address(job, 0)).json()["review"]["verdict"] == "accept"


def test_a_cursor_from_before_the_end_begins_the_filtered_list_anew(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b", b"c")
    plan(api, job)
    outcomes = [succeeded(api, job, number) for number in range(3)]
    settle(api, job, 1, *outcomes)
    asked = {"review": "none", "limit": 2}
    running = north.get(f"/v1/jobs/{job}/items", params=asked).json()
    assert len(running["items"]) == 2
    finish(api, job, *outcomes)
    answer = north.get(f"/v1/jobs/{job}/items", params={**asked, "cursor": running["next"]})
    assert [item["item"] for item in answer.json()["items"]] == [0, 1]


def test_reviews_are_removed_with_their_job(
    api: RunningApi, north: httpx.Client, second: httpx.Client, job: str
) -> None:
    reviewed(north, job, 0)
    assert len(list(api.storage.list(keys.reviews(job)))) == 1
    assert keys.reviews(job).startswith(keys.objects(job))
    second.delete(f"/v1/jobs/{job}")
    assert north.put(address(job, 0), json={"verdict": "accept"}).status_code == 410


def test_no_name_and_no_word_of_a_reader_is_in_a_key(api: RunningApi, north: httpx.Client, job: str) -> None:
    review = reviewed(north, job, 3, "reject", grade=2, flag=True, comment="secret")
    (key,) = api.storage.list(keys.reviews(job))
    assert key.endswith("/000000003.000001.r21.json")
    assert review["reader"].removeprefix("key:") not in key
    assert "secret" not in key


def test_the_summary_counts_readers_agreement_and_the_sample(
    north: httpx.Client, second: httpx.Client, job: str
) -> None:
    for item, verdict in enumerate(("accept", "accept", "reject", "reject")):
        reviewed(north, job, item, verdict, grade=3)
    for item, verdict in enumerate(("accept", "reject", "reject", "reject")):
        reviewed(second, job, item, verdict, flag=item == 0)
    reviewed(second, job, 4, None)
    shown = north.get(f"/v1/jobs/{job}/reviews").json()
    assert (shown["items"], shown["reviewed"]) == (ITEMS, 4)
    you, other = sorted(shown["readers"], key=lambda reader: not reader["you"])
    assert (you["accepted"], you["rejected"], you["grades"]) == (2, 2, {"3": 4})
    assert (other["accepted"], other["rejected"], other["flagged"], other["you"]) == (1, 3, 1, False)
    (agreement,) = shown["agreement"]
    assert (agreement["items"], agreement["observed"], agreement["kappa"]) == (4, 0.75, 0.5)
    # the item that has failed has no masks, so it is not in the sample
    assert (shown["sample"]["size"], sorted(shown["sample"]["items"])) == (5, [0, 1, 2, 3, 4])
    assert (you["sample"]["reviewed"], you["sample"]["rejected"], you["sample"]["error_rate"]) == (4, 2, 0.5)
    assert you["sample"]["interval"][0] < 0.5 < you["sample"]["interval"][1]


def test_the_summary_tells_a_blind_reader_no_verdict_of_another(
    north: httpx.Client, second: httpx.Client, job: str
) -> None:
    for item in range(4):
        reviewed(north, job, item, "reject" if item % 2 else "accept", grade=2, flag=True)
    for sample in (1, 2, 5):
        shown = second.get(f"/v1/jobs/{job}/reviews?sample={sample}").json()
        assert (shown["reviewed"], shown["readers"], shown["agreement"]) == (4, [], [])
    reviewed(second, job, 1, "accept")
    shown = second.get(f"/v1/jobs/{job}/reviews?sample=5").json()
    other, you = sorted(shown["readers"], key=lambda reader: bool(reader["you"]))
    assert (other["accepted"], other["rejected"], other["flagged"], other["grades"]) == (0, 1, 1, {"2": 1})
    assert (other["sample"]["reviewed"], other["sample"]["rejected"], you["sample"]["reviewed"]) == (1, 1, 1)
    (agreement,) = shown["agreement"]
    assert (agreement["items"], agreement["observed"]) == (1, 0.0)
    second.delete(address(job, 1))
    assert second.get(f"/v1/jobs/{job}/reviews").json()["readers"] == []


def test_a_sample_stays_the_same(north: httpx.Client, job: str) -> None:
    two = north.get(f"/v1/jobs/{job}/reviews?sample=2").json()["sample"]["items"]
    five = north.get(f"/v1/jobs/{job}/reviews?sample=5").json()["sample"]["items"]
    assert (len(two), five[:2]) == (2, two)


def test_a_job_without_reviews_has_an_empty_summary(north: httpx.Client, job: str) -> None:
    shown = north.get(f"/v1/jobs/{job}/reviews").json()
    assert (shown["reviewed"], shown["readers"], shown["agreement"]) == (0, [], [])


def test_a_review_is_in_the_audit_log_without_its_words(
    api: RunningApi, north: httpx.Client, job: str, tmp_path: Path
) -> None:
    review = reviewed(north, job, 3, comment="secret")
    logged = b"".join(api.storage.get(key) for key in api.storage.list(keys.AUDIT))
    (entry,) = [line for line in logged.splitlines() if b"PUT /v1/jobs/{job}/items/{item}/review" in line]
    assert b'"item":3' in entry
    assert review["reader"].encode() in entry
    assert b"secret" not in logged


def listed(client: httpx.Client, job: str, **asked: Any) -> list[int]:
    """Return the numbers of all items of a list, page by page."""
    numbers: list[int] = []
    params: dict[str, Any] = {"limit": 2, **asked}
    while True:
        page = client.get(f"/v1/jobs/{job}/items", params=params).json()
        numbers += [item["item"] for item in page["items"]]
        if page["next"] is None:
            return numbers
        params["cursor"] = page["next"]


def test_items_are_filtered_by_your_own_verdict(north: httpx.Client, second: httpx.Client, job: str) -> None:
    reviewed(north, job, 1, "accept")
    reviewed(north, job, 3, "reject")
    reviewed(second, job, 0, "reject")
    assert listed(north, job, review="accepted") == [1]
    assert listed(north, job, review="rejected") == [3]
    assert listed(north, job, review="none") == [0, 2, 4, 5]
    assert listed(second, job, review="rejected") == [0]
    drawn = north.get(f"/v1/jobs/{job}/reviews?sample=4").json()["sample"]["items"]
    assert listed(north, job, sample=4) == drawn
    assert listed(north, job, sample=4, review="none") == [item for item in drawn if item not in {1, 3}]
    assert listed(north, job, flag="none", review="accepted") == [1]


def test_a_page_goes_on_after_its_items_were_reviewed(north: httpx.Client, job: str) -> None:
    first = north.get(f"/v1/jobs/{job}/items", params={"limit": 2, "review": "none"}).json()
    for item in first["items"]:
        reviewed(north, job, item["item"])
    assert listed(north, job, review="none", cursor=first["next"]) == [2, 3, 4, 5]


def test_items_show_your_review_and_then_those_of_others(north: httpx.Client, second: httpx.Client, job: str) -> None:
    reviewed(north, job, 2, "reject", grade=2, comment="no")
    own, other = north.get(f"/v1/jobs/{job}/items").json()["items"], second.get(f"/v1/jobs/{job}/items").json()["items"]
    assert [item["item"] for item in own if "review" in item] == [2]
    assert (own[2]["review"]["verdict"], own[2]["review"]["grade"], own[2]["reviews"]) == ("reject", 2, [])
    assert not any("review" in item or "reviews" in item for item in other)
    reviewed(second, job, 2, "accept")
    shown = second.get(f"/v1/jobs/{job}/items/2").json()
    assert (shown["review"]["verdict"], [one["verdict"] for one in shown["reviews"]]) == ("accept", ["reject"])


def test_a_running_job_has_no_sample_but_a_filter(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    settle(api, job, 1, succeeded(api, job, 0), succeeded(api, job, 1))
    reviewed(north, job, 1)
    assert listed(north, job, review="accepted") == [1]
    assert listed(north, job, review="none") == [0]
    answer = north.get(f"/v1/jobs/{job}/items?sample=5")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_ended")


@pytest.mark.parametrize("asked", ["sample=5&flag=any", "sample=5&offset=1", "review=accepted&order=suspicion"])
def test_filters_that_contradict_each_other_are_refused(north: httpx.Client, job: str, asked: str) -> None:
    assert north.get(f"/v1/jobs/{job}/items?{asked}").status_code == 400
