"""Keys that change and tokens that end, against real HTTP: a control plane, an identity service and an endpoint."""

import asyncio
import json
import logging
import os
import sys
import time
from urllib.parse import unquote

import pytest

from maskrelay.endpoints import Endpoint
from maskrelay.errors import EndpointDenied, EndpointUnavailable, SettingsError
from maskrelay.scoring.credentials import CONTROL_PLANE_SCOPE, SCORING_SCOPE, credential_of
from maskrelay.scoring.token_sources import Entra
from maskrelay.scoring.tokens import Token
from tests.integration.scoring.scoring_cases import (
    BODY,
    GOOD,
    ROWS,
    client_of,
    score,
    sends,
)
from tests.support.servers.scripted_server import http, reset, serving
from tests.support.servers.simulators import running_simulator

MANAGEMENT = "m4nagement-t0ken"


class FixedEntra:
    """Entra, as a plain argument: always the same token for the control plane's scope."""

    def __init__(self, scope):
        assert scope == CONTROL_PLANE_SCOPE

    async def fetch(self):
        return Token(MANAGEMENT, time.time() + 3600, time.time() + 7200)


def issued(token, life_s=3600):
    now = int(time.time())
    fields = {"accessToken": token, "expiryTimeUtc": now + life_s, "refreshAfterTimeUtc": now + life_s // 2}
    return http(200, json.dumps({**fields, "tokenType": "Bearer"}).encode(), content_type="application/json")


def control_plane(*answers):
    """A script that gives one answer after another, and the last one from then on."""
    left = list(answers)

    def script(sock, _request):
        answer = left.pop(0) if len(left) > 1 else left[0]
        answer(sock) if callable(answer) else sock.sendall(answer)

    return script


def accepting(*tokens):
    """An endpoint's script that answers 401 to everybody else."""

    def script(sock, request):
        good = request.headers["authorization"] in {f"Bearer {token}" for token in tokens}
        sock.sendall(GOOD if good else http(401, b"{}"))

    return script


def token_of(control, url="http://localhost/score"):
    address = control.url.replace("/score", "/onlineEndpoints/e/token?api-version=2024-10-01")
    return credential_of(Endpoint(url=url, auth="aml_token", token_url=address), FixedEntra)


def bearers(server):
    return [seen.headers["authorization"].removeprefix("Bearer ") for seen in server.seen]


def test_a_token_of_the_control_plane_opens_the_endpoint_and_is_asked_for_once():
    async def run():
        client = client_of(endpoint.url, credential=token_of(control))
        await asyncio.gather(*(client.score(BODY, ROWS, request_id=str(number)) for number in range(8)))
        await client.aclose()

    with serving(control_plane(issued("t1"))) as control, serving(accepting("t1")) as endpoint:
        asyncio.run(run())
    [asked] = control.seen
    assert asked.line == "POST /onlineEndpoints/e/token?api-version=2024-10-01 HTTP/1.1"
    assert asked.headers["authorization"] == f"Bearer {MANAGEMENT}"
    assert bearers(endpoint) == ["t1"] * 8


def test_a_refused_token_is_replaced_and_the_score_goes_on():
    answers = control_plane(issued("t1"), issued("t2"))
    with serving(answers) as control, serving(accepting("t2")) as endpoint:
        scored = score(endpoint.url, credential=token_of(control), times=2)
    assert scored.answers
    assert bearers(endpoint) == ["t1", "t2", "t2"]
    assert len(control.seen) == 2


def test_a_new_token_that_is_refused_too_is_denied_and_not_tried_again():
    answers = control_plane(issued("t1"), issued("t2"), issued("t3"))
    with serving(answers) as control, serving(accepting()) as endpoint:
        error = score(endpoint.url, credential=token_of(control))
    assert isinstance(error, EndpointDenied)
    assert bearers(endpoint) == ["t1", "t2"]


def test_the_same_token_again_is_not_sent_again():
    with serving(control_plane(issued("t1"))) as control, serving(accepting()) as endpoint:
        error = score(endpoint.url, credential=token_of(control))
    assert isinstance(error, EndpointDenied)
    assert bearers(endpoint) == ["t1"]


FAILING = {
    "away": http(503, b"{}"),
    "forbidden": http(403, b'{"error": {"code": "AuthorizationFailed"}}'),
    "no JSON": http(200, b"<html>t0ken"),
    "no token": http(200, b'{"accessToken": "", "expiryTimeUtc": 1}'),
    "no header's token": http(200, b'{"accessToken": "t0ken\\r\\nx: y", "expiryTimeUtc": 9999999999}'),
    "reset": reset,
}


@pytest.mark.parametrize("answer", FAILING.values(), ids=FAILING.keys())
def test_a_failing_control_plane_is_a_coded_error_and_nothing_is_sent(answer, caplog):
    caplog.set_level(logging.DEBUG)
    with serving(control_plane(answer)) as control, serving(accepting()) as endpoint:
        error = score(endpoint.url, credential=token_of(control))
    assert type(error) is EndpointUnavailable
    assert (error.kind, error.still_working) == ("token", False)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert endpoint.seen == []
    told = f"{error!r} {error} {vars(error)} {caplog.text}"
    assert MANAGEMENT not in told
    assert "t0ken" not in told


def test_no_token_is_told_when_all_goes_well_or_is_denied(caplog):
    caplog.set_level(logging.DEBUG)
    answers = control_plane(issued("first-secret"), issued("second-secret"), issued("third-secret"))
    with serving(answers) as control, serving(accepting("second-secret")) as endpoint:
        credential = token_of(control)
        scored = score(endpoint.url, credential=credential)
    told = f"{scored} {credential!r} {vars(credential)} {caplog.text}"
    assert scored.answers
    assert "-secret" not in told
    assert MANAGEMENT not in told


def test_a_key_file_is_read_again_when_it_changes(tmp_path):
    file = tmp_path / "key"
    file.write_text("first\n")

    async def run():
        client = client_of(server.url, credential=credential_of(Endpoint(url=server.url, key_file=str(file))))
        for key in ("first", "the second"[4:], ""):
            file.write_text(key)
            await client.score(BODY, ROWS, request_id="r")
        file.unlink()
        await client.score(BODY, ROWS, request_id="r")
        await client.aclose()

    with serving(sends(GOOD)) as server:
        asyncio.run(run())
    assert bearers(server) == ["first", "second", "second", "second"]


def test_a_key_file_that_changed_unseen_is_read_again_after_a_401(tmp_path):
    file = tmp_path / "key"
    file.write_text("old")
    seen = file.stat()
    with serving(accepting("new")) as server:
        credential = credential_of(Endpoint(url=server.url, key_file=str(file)))
        file.write_text("new")
        os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        scored = score(server.url, credential=credential)
    assert scored.answers
    assert bearers(server) == ["old", "new"]


def test_a_wrong_key_is_sent_once():
    with serving(accepting()) as server:
        error = score(server.url)
    assert isinstance(error, EndpointDenied)
    assert len(server.seen) == 1


@pytest.mark.parametrize("content", [None, "", "two words", "schlüssel"])
def test_a_key_file_without_a_key_is_refused_at_the_start(tmp_path, content):
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError) as caught:
        credential_of(Endpoint(url="http://localhost/score", key_file=str(file)))
    assert str(file) not in str(caught.value)


@pytest.fixture
def identity(monkeypatch):
    """The identity service that a managed identity asks, as App Service describes it, and its answers."""
    left = ["e1", "e2"]

    def script(sock, _request):
        token = left.pop(0) if left else ""
        fields = {"access_token": token, "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer"}
        sock.sendall(http(200 if token else 400, json.dumps(fields).encode(), content_type="application/json"))

    with serving(script) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", server.url)
        monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-machine")
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        yield server


def test_a_managed_identitys_token_opens_the_endpoint_and_a_refused_one_is_replaced(identity):
    with serving(accepting("e2")) as endpoint:
        credential = credential_of(Endpoint(url=endpoint.url, auth="entra"))
        scored = score(endpoint.url, credential=credential)
    assert scored.answers
    assert bearers(endpoint) == ["e1", "e2"]
    assert [seen.headers["x-identity-header"] for seen in identity.seen] == ["header-of-the-machine"] * 2
    assert all("resource=https://ml.azure.com" in unquote(seen.line) for seen in identity.seen)


def test_an_identity_that_gives_no_token_is_a_coded_error(monkeypatch):
    with serving(sends(http(403, b'{"message": "no identity"}'))) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", server.url)
        monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-machine")
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        with pytest.raises(EndpointUnavailable) as caught:
            asyncio.run(Entra(SCORING_SCOPE).fetch())
    assert caught.value.kind == "token"
    assert caught.value.__context__ is None


def test_without_the_extra_its_name_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(SettingsError, match="extra `azure`"):
        credential_of(Endpoint(url="http://localhost/score", auth="entra"))


def test_the_simulators_control_plane_and_gateway_agree_with_the_client():
    with running_simulator(auth="aml_token", control_plane_token=MANAGEMENT) as simulator:

        async def run():
            credential = credential_of(
                Endpoint(url=simulator.url, auth="aml_token", token_url=f"{simulator.base}/token"), FixedEntra
            )
            tokens = [await credential.token()]
            client = client_of(simulator.url, credential=credential)
            kinds = []
            for _ in range(2):
                try:
                    await client.score(BODY, ROWS, request_id="r")
                except Exception as error:
                    kinds.append(type(error).__name__)
                simulator.set(expire_tokens=True)
                tokens.append(await credential.token())
            await client.aclose()
            return tokens, kinds

        tokens, kinds = asyncio.run(run())
    # the picture is none, so the model fails on it: the gateway let both through
    assert kinds == ["ScoringFailed"] * 2
    assert tokens[0] == tokens[1] != tokens[2]
