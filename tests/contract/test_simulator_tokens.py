"""The three kinds of credentials, as the gateway checks them."""

import time
from typing import Any

import httpx
import pytest

from tests.support.servers.simulators import (
    RunningSimulator,
    eventually,
    running_simulator,
    score_body,
)

pytestmark = pytest.mark.slow_subject("simulator")

EMPTY = score_body(data=[])
ARM = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/onlineEndpoints/e"


def answered(endpoint: RunningSimulator, token: str) -> int:
    return endpoint.post(EMPTY, authorization=f"Bearer {token}").status_code


def fetched(endpoint: RunningSimulator, path: str = "/token", control: str = "control") -> httpx.Response:
    return httpx.post(endpoint.base + path, headers={"authorization": f"Bearer {control}"})


def of_tokens(**switches: Any) -> Any:
    return running_simulator(auth="aml_token", control_plane_token="control", canned=True, **switches)


def test_a_key_can_be_replaced_while_it_runs() -> None:
    with running_simulator(canned=True) as endpoint:
        endpoint.set(key="the next one")
        assert (answered(endpoint, endpoint.key), answered(endpoint, "the next one")) == (401, 200)
        endpoint.set(expire_tokens=True)
        assert answered(endpoint, "the next one") == 200


@pytest.mark.parametrize("path", ["/token", f"{ARM}/token?api-version=2024-10-01"])
def test_the_control_plane_gives_tokens_that_the_gateway_accepts(path: str) -> None:
    with of_tokens(token_life=600) as endpoint:
        answer = fetched(endpoint, path)
        token = answer.json()
        assert answer.status_code == 200
        assert sorted(token) == ["accessToken", "expiryTimeUtc", "refreshAfterTimeUtc", "tokenType"]
        assert time.time() < token["refreshAfterTimeUtc"] < token["expiryTimeUtc"] <= time.time() + 601
        assert answered(endpoint, token["accessToken"]) == 200
        assert answered(endpoint, "another") == 401
        assert answered(endpoint, endpoint.key) == 401


def test_the_control_plane_asks_for_its_own_token() -> None:
    with of_tokens() as endpoint:
        assert fetched(endpoint, control="wrong").status_code == 401
        token = fetched(endpoint).json()["accessToken"]
        assert fetched(endpoint, control=token).status_code == 401
        assert httpx.get(f"{endpoint.base}/token").status_code == 405


def test_a_token_ends_and_a_new_one_is_good() -> None:
    with of_tokens(token_life=1) as endpoint:
        old = fetched(endpoint).json()["accessToken"]
        assert eventually(lambda: answered(endpoint, old) == 401)
        endpoint.set(token_life=600)
        assert answered(endpoint, fetched(endpoint).json()["accessToken"]) == 200


def test_all_tokens_can_be_ended_at_once() -> None:
    with of_tokens() as endpoint:
        tokens = [fetched(endpoint).json()["accessToken"] for _ in range(2)]
        assert [answered(endpoint, token) for token in tokens] == [200, 200]
        endpoint.set(expire_tokens=True)
        assert [answered(endpoint, token) for token in tokens] == [401, 401]
        assert answered(endpoint, fetched(endpoint).json()["accessToken"]) == 200
        assert endpoint.counters()["refused"] == {"token": 2}


def test_entra_tokens_are_those_it_was_told_of() -> None:
    with running_simulator(auth="entra", entra_token="first", canned=True) as endpoint:
        assert (answered(endpoint, "first"), answered(endpoint, "second")) == (200, 401)
        endpoint.set(entra_token="second")
        assert (answered(endpoint, "first"), answered(endpoint, "second")) == (401, 200)
        endpoint.set(expire_tokens=True)
        assert answered(endpoint, "second") == 401
        assert fetched(endpoint).status_code == 401
