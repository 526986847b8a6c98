import json
import socket
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from maskrelay import errors
from maskrelay.client import Client
from maskrelay.errors import NotFound, OptionInvalid, ServiceAnswer
from tests.support.servers.scripted_server import Seen
from tests.unit.client.services import JOB, Answer, job, parts_of, problem, service

UPLOADS = Answer(201, {"uploads": [{"id": "u1", "size": 3, "sha256": "0" * 64}]})


def test_few_files_go_in_one_form_with_their_names_prompts_and_options(tmp_path: Path) -> None:
    photo = tmp_path / 'røntgen "a".png'
    photo.write_bytes(b"photo")
    with service(job()) as one:
        shown = one.client.submit(
            [photo, b"raw"], ["disc", "cup"], outputs=["mask"], callback="https://c.example/", metadata={"study": 7}
        )
        assert shown.id == "j1"
        assert one.lines == ["POST /v1/jobs"]
        heads = parts_of(one.server.seen[0])
    assert [content for head, content in heads if 'name="prompt"' in head] == [b"disc", b"cup"]
    options = next(content for head, content in heads if 'name="options"' in head)
    assert json.loads(options) == {
        "outputs": ["mask"],
        "callback": {"url": "https://c.example/"},
        "metadata": {"study": 7},
    }
    images = [(head, content) for head, content in heads if 'name="image"' in head]
    assert [content for _, content in images] == [b"photo", b"raw"]
    assert 'filename="røntgen %22a%22.png"' in images[0][0]
    assert "image/png" in images[0][0]
    assert 'filename="image-1"' in images[1][0]


def test_the_key_goes_as_a_bearer_token_and_each_submission_has_an_idempotency_key_of_its_own() -> None:
    with service(job()) as one:
        one.client.submit([b"a"], ["disc"])
        one.client.submit([b"a"], ["disc"])
        one.client.submit([b"a"], ["disc"], idempotency_key="mine")
        keys = [seen.headers["idempotency-key"] for seen in one.server.seen]
        assert {seen.headers["authorization"] for seen in one.server.seen} == {"Bearer the-key"}
    assert len(set(keys)) == 3
    assert keys[2] == '"mine"'


def test_a_submission_whose_answer_was_lost_is_repeated_whole_under_the_same_idempotency_key(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(b"x" * 200_000)
    with service(None, job()) as one:
        one.client.submit([photo], ["disc"])
        first, second = one.server.seen
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert [content for _, content in parts_of(first)] == [content for _, content in parts_of(second)]


def test_a_watch_whose_answer_was_lost_is_asked_for_under_the_same_idempotency_key() -> None:
    """A second watch would make a second job of each folder."""
    watch = {
        "id": "w1",
        "created_at": JOB["created_at"],
        "source": "s3://b/in/",
        "credential": "c",
        "prompts": ["disc"],
    }
    with service(
        None, Answer(201, watch | {"settle_s": 60, "period_s": 300, "events": "/v1/watches/w1/events"})
    ) as one:
        assert one.client.watch("s3://b/in/", ["disc"]).id == "w1"
        first, second = (seen.headers["idempotency-key"] for seen in one.server.seen)
    assert first == second


def test_what_cannot_be_sent_is_refused_before_anything_is_sent() -> None:
    with service() as one:
        with pytest.raises(OptionInvalid):
            one.client.watch("s3://b/in/", ["disc"], settle_s=float("nan"))
        with pytest.raises(NotFound):
            one.client.unwatch("../jobs/j1")
        for text in ("\ud800", "\udcff"):
            with pytest.raises(OptionInvalid):
                one.client.submit([b"a"], [text])
            with pytest.raises(OptionInvalid):
                one.client.watch("s3://b/in/", [text])
        with pytest.raises(OptionInvalid):
            one.client.submit([b"a"], ["disc"], idempotency_key="ü")
        assert one.lines == []


def uploaded(numbers: Iterable[int]) -> Answer:
    return Answer(201, {"uploads": [{"id": f"u{n}", "size": 1, "sha256": "0" * 64} for n in numbers]})


def uploads_or_job(seen: Seen) -> Answer:
    """Each upload gets the name of its content. The client sends several requests with uploads at a time."""
    if seen.line.startswith("POST /v1/jobs"):
        return job()
    named = [content.decode() for _, content in parts_of(seen)]
    return Answer(201, {"uploads": [{"id": name, "size": 1, "sha256": "0" * 64} for name in named]})


def test_many_files_are_uploaded_in_batches_and_submitted_by_their_ids_in_order() -> None:
    files = [f"file-{n}".encode() for n in range(205)]
    counts: list[int] = []
    with service(uploads_or_job) as one:
        one.client.submit(files, ["disc"], on_upload=counts.append)
        assert one.lines[-1] == "POST /v1/jobs"
        assert set(one.lines[:-1]) == {"POST /v1/uploads"}
        assert max(len(parts_of(seen)) for seen in one.server.seen[:-1]) > 1
        body = json.loads(one.server.seen[-1].body)
    assert body["items"] == [{"upload": f"file-{n}"} for n in range(205)]
    assert body["prompts"] == ["disc"]
    assert (counts[0], counts[-1], counts == sorted(counts)) == (0, 205, True)


def test_files_that_are_too_much_for_one_request_are_uploaded_one_by_one() -> None:
    each = [uploaded([n]) for n in range(2)]
    with service(problem(413, "body_too_large"), *each, job()) as one:
        one.client.submit([b"a", b"b"], ["disc"], custom_ids=["1", "2"])
        assert one.lines == ["POST /v1/uploads"] * 3 + ["POST /v1/jobs"]
        body = json.loads(one.server.seen[-1].body)
    assert body["items"] == [{"upload": "u0", "custom_id": "1"}, {"upload": "u1", "custom_id": "2"}]


def test_a_file_that_is_too_large_is_refused_as_such() -> None:
    with service(problem(413, "body_too_large")) as one:
        with pytest.raises(errors.BodyTooLarge):
            one.client.submit([b"a"], ["disc"], custom_ids=["1"])
        assert one.lines == ["POST /v1/uploads"]


def test_an_answer_that_names_too_few_uploads_is_not_submitted() -> None:
    with service(uploaded([0])) as one:
        with pytest.raises(errors.ServiceAnswerUnknown, match="1 uploads for 2 files"):
            one.client.submit([b"a", b"b"], ["disc"], custom_ids=["1", "2"])
        assert one.lines == ["POST /v1/uploads"]


def test_own_ids_go_with_the_items() -> None:
    with service(UPLOADS, job()) as one:
        one.client.submit([b"a"], ["disc"], custom_ids=["case-7"])
        body = json.loads(one.server.seen[-1].body)
    assert body["items"] == [{"upload": "u1", "custom_id": "case-7"}]


def test_a_wrong_number_of_own_ids_is_refused_before_anything_is_sent() -> None:
    with service(UPLOADS, job()) as one:
        with pytest.raises(errors.OptionInvalid, match="2 custom_ids for 1 file"):
            one.client.submit([b"a"], ["disc"], custom_ids=["1", "2"])
        assert one.lines == []


def test_a_path_that_is_no_file_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    with service(job()) as one:
        with pytest.raises(errors.SourceMissing, match=r"nothing\.png does not exist"):
            one.client.submit([b"a", tmp_path / "nothing.png"], ["disc"])
        with pytest.raises(errors.SourceMissing, match="is a folder"):
            one.client.submit([tmp_path], ["disc"])
        assert one.lines == []


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthenticated", errors.Unauthenticated),
        (404, "not_found", errors.NotFound),
        (409, "not_cancellable", errors.NotCancellable),
        (410, "gone", errors.Gone),
        (422, "prompt_has_ampersand", errors.PromptHasAmpersand),
        (500, "internal", errors.MaskrelayError),
    ],
)
def test_a_problem_becomes_the_error_of_its_code_and_is_not_repeated(
    status: int, code: str, kind: type[errors.MaskrelayError]
) -> None:
    places = [{"pointer": "#/prompt", "detail": "Here."}]
    with service(problem(status, code, "Because.", errors=places, trace_id="t")) as one:
        with pytest.raises(kind) as caught:
            one.client.job("j1")
        assert type(caught.value) is kind
        assert len(one.lines) == 1
    assert caught.value.detail == "Because."
    assert caught.value.answer == ServiceAnswer(status, code, places=(("#/prompt", "Here."),), trace_id="t")


def test_a_code_from_the_future_is_a_refused_request_that_keeps_it() -> None:
    refusal = problem(422, "moon_phase_wrong", "Wait for the moon.")
    with service(refusal) as one, pytest.raises(errors.RequestError, match="Wait for the moon") as caught:
        one.client.job("j1")
    assert caught.value.answer is not None
    assert caught.value.answer.code == "moon_phase_wrong"


def test_a_service_that_is_busy_is_asked_again() -> None:
    busy = problem(503, "ledger_unavailable", retryable=True, retry_after_s=0)
    with service(busy, busy, None, job()) as one:
        assert one.client.job("j1").state == "succeeded"
        assert len(one.lines) == 4


def test_a_service_that_stays_busy_is_given_up_with_its_reason() -> None:
    with service(problem(503, "storage_unavailable", "The store is away.", retryable=True, retry_after_s=0)) as one:
        with pytest.raises(errors.StorageUnavailable, match="The store is away"):
            one.client.job("j1")
        assert len(one.lines) == 4


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>hello</html>"),
        Answer(200, {"id": "j1"}),
        Answer(200, []),
        Answer(404, b"<html>not here</html>"),
        Answer(418, {"message": "teapot"}),
        Answer(200, b"[" * 200_000),
        Answer(404, b"[" * 200_000),
    ],
)
def test_an_answer_of_something_else_is_said_to_be_unreadable(answer: Answer) -> None:
    with service(answer) as one, pytest.raises(errors.ServiceAnswerUnknown):
        one.client.job("j1")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1, pytest.param(10**400, id="huge"), "soon"])
def test_a_pause_that_cannot_be_made_is_ignored(seconds: object) -> None:
    answer = problem(409, "not_cancellable", retry_after_s=seconds)
    with service(answer) as one, pytest.raises(errors.NotCancellable) as caught:
        one.client.cancel("j1")
    assert caught.value.answer is not None
    assert caught.value.answer.retry_after_s is None


def test_only_204_confirms_a_deletion() -> None:
    """Otherwise, the page of a proxy that asks to sign in would look like success."""
    with service(Answer(204, b""), Answer(200, b"<html>Sign in</html>")) as one:
        one.client.delete("j1")
        for delete in (one.client.delete, one.client.unwatch):
            with pytest.raises(errors.ServiceAnswerUnknown, match="does not confirm"):
                delete("j1")


def test_a_redirected_stream_of_events_is_an_error() -> None:
    moved = Answer(307, b"", (("location", "/x"), ("etag", '"x"')))
    with service(moved) as one, pytest.raises(errors.ServiceAnswerUnknown, match="redirects"):
        next(iter(one.client.events("j1")))


def test_a_service_that_is_not_there_is_named_with_advice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with Client(url, "k") as client, pytest.raises(errors.ServiceUnreachable) as caught:
        client.job("j1")
    assert url in caught.value.detail
    assert "is it running" in caught.value.detail


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://x", None),
        ("http://x", "ü"),
        ("http://x", "k\nx: y"),
        ("x:8080", "k"),
        ("http://[::1", "k"),
        ("http://x:99999", "k"),
        ("http://", "k"),
        (f"http://{'a' * 70}.example", "k"),
    ],
)
def test_a_client_without_key_or_with_a_strange_address_is_not_made(
    url: str, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASKRELAY_API_KEY", raising=False)
    with pytest.raises(errors.SettingsError):
        Client(url, key)


def test_an_address_with_a_password_is_refused_and_not_quoted() -> None:
    """It would be sent instead of the key, and every message about the address would contain it."""
    with pytest.raises(errors.SettingsError, match="user name") as caught:
        Client("http://me:secret@x", "k")
    assert "secret" not in str(caught.value)


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(job()) as one:
        monkeypatch.setenv("MASKRELAY_URL", one.url + "/")
        monkeypatch.setenv("MASKRELAY_API_KEY", "env-key")
        with Client() as client:
            assert client.job("j1").id == "j1"
        assert one.server.seen[0].headers["authorization"] == "Bearer env-key"


def test_waiting_outlives_a_service_that_is_away_and_tells_every_step() -> None:
    away: list[Answer | None] = [None] * 4
    busy = problem(503, "ledger_unavailable", retryable=True, retry_after_s=0)
    seen: list[str] = []
    with service(job(state="running"), *away, busy, busy, job()) as one:
        ended = one.client.wait("j1", on_progress=lambda shown: seen.append(shown.state))
    assert ended.state == "succeeded"
    assert seen == ["running", "succeeded"]


def test_waiting_ends_with_its_timeout() -> None:
    with service(job(state="running")) as one, pytest.raises(errors.WaitTimeout, match="j1 is still running"):
        one.client.wait("j1", timedelta(seconds=0.2))


def test_waiting_polls_long_and_shortly_where_progress_is_shown() -> None:
    with service(job()) as one:
        one.client.wait("j1")
        one.client.wait("j1", on_progress=lambda _shown: None)
        one.client.wait("j1", timedelta(seconds=9))
        assert [seen.headers["prefer"] for seen in one.server.seen] == ["wait=30", "wait=1", "wait=9"]


def test_lists_are_followed_page_by_page() -> None:
    pages = [Answer(200, {"jobs": [{**JOB, "id": f"j{n}"}], "next": after}) for n, after in ((1, "c/1"), (2, None))]
    with service(*pages) as one:
        assert [shown.id for shown in one.client.jobs()] == ["j1", "j2"]
        assert one.lines == ["GET /v1/jobs", "GET /v1/jobs?cursor=c%2F1"]


def test_items_are_followed_page_by_page() -> None:
    pages = [
        Answer(200, {"items": [{"custom_id": str(n), "state": "succeeded"}], "next": after})
        for n, after in ((0, "x"), (1, None))
    ]
    with service(*pages) as one:
        assert [item.custom_id for item in one.client.items("j1")] == ["0", "1"]
        assert one.lines[1] == "GET /v1/jobs/j1/items?cursor=x"


def test_cancelling_answers_the_job() -> None:
    with service(job(state="cancelling")) as one:
        assert one.client.cancel("j1").state == "cancelling"
        assert one.lines == ["POST /v1/jobs/j1/cancel"]
