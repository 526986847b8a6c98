"""Example of the API's authentication: a request needs a known key, and the key needs the scope."""

import httpx

from tests.support.drivers.api_jobs import submit
from tests.support.servers.apis import RunningApi


def test_a_request_without_a_key_is_refused(api: RunningApi) -> None:
    answer = httpx.get(f"{api.url}/v1/jobs", trust_env=False)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_key_that_may_only_read_cannot_submit(api: RunningApi) -> None:
    with api.client("reader") as reader:
        assert reader.get("/v1/jobs").status_code == 200
        answer = submit(reader, b"picture")

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
