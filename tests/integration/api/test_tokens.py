"""Bearer tokens of an OpenID Connect issuer beside API keys: who is let in, who is not, and what an outage means."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.support.drivers.api_jobs import accepted
from tests.support.servers.apis import (
    KEYS,
    SMALL_LIMITS,
    RunningApi,
    running_api,
    write_keys,
)
from tests.support.servers.issuers import (
    AUDIENCE,
    EC_KEY,
    OTHER_RSA_KEY,
    RSA_KEY,
    Issuer,
    issuer,
    public_jwk,
)


@pytest.fixture
def trusted() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str, trusted: Issuer) -> Iterator[RunningApi]:
    about = {"oidc_issuer": trusted.url, "oidc_audience": AUDIENCE}
    with running_api(tmp_path / "store", empty_valkey, **SMALL_LIMITS, **about) as running:
        yield running


def jobs(api: RunningApi, bearer: str) -> httpx.Response:
    with api.client(bearer) as client:
        return client.get("/v1/jobs")


def check_refused(answer: httpx.Response, status: int = 401, code: str = "unauthenticated") -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA_KEY, "RS256", "rsa"), (EC_KEY, "ES256", "ec")])
def test_a_token_is_its_tenants_key(api: RunningApi, trusted: Issuer, key: Any, algorithm: str, kid: str) -> None:
    with api.client(trusted.token(key=key, algorithm=algorithm, kid=kid)) as client:
        job = accepted(client)
        assert client.get(f"/v1/jobs/{job}").status_code == 200
    with api.client("north") as client:
        assert client.get(f"/v1/jobs/{job}").status_code == 200
    with api.client(trusted.token(tenant="south")) as client:
        check_refused(client.get(f"/v1/jobs/{job}"), 404, "not_found")


def test_keys_are_fetched_once_and_kept(api: RunningApi, trusted: Issuer) -> None:
    for _ in range(5):
        assert jobs(api, trusted.token()).status_code == 200
    assert trusted.fetches() == 1


def test_api_keys_work_beside_tokens_also_when_they_look_like_one_and_the_issuer_is_away(
    api: RunningApi, trusted: Issuer
) -> None:
    trusted.status = 500
    write_keys(api.folder.parent / "keys.json", {**KEYS, "looks.like.one": ("north", ["read"])})
    assert jobs(api, "north").status_code == 200
    assert jobs(api, "looks.like.one").status_code == 200
    check_refused(jobs(api, "unknown"))
    assert trusted.asked == []


@pytest.mark.parametrize(
    ("scopes", "status"),
    [
        ("read", 200),
        (["admin"], 200),
        ("submit", 403),
        ("openid profile", 403),
        (["read submit"], 403),
        (None, 403),
        (7, 403),
        ({"read": True}, 403),
    ],
)
def test_a_token_does_what_its_scopes_allow(api: RunningApi, trusted: Issuer, scopes: Any, status: int) -> None:
    assert jobs(api, trusted.token(scope=scopes)).status_code == status


NOW = int(time.time())


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another service"},
        {"aud": None},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"exp": NOW - 3600},
        {"exp": None},
        {"nbf": NOW + 3600},
        {"sub": None},
        {"tenant": None},
        {"tenant": "../north"},
        {"tenant": "NORTH"},
        {"tenant": ["north"]},
        {"tenant": "north\n"},
    ],
)
def test_a_token_whose_claims_are_not_for_us_is_refused(
    api: RunningApi, trusted: Issuer, claims: dict[str, Any]
) -> None:
    check_refused(jobs(api, trusted.token(**claims)))


def test_clocks_may_be_a_minute_apart_and_no_more(api: RunningApi, trusted: Issuer) -> None:
    now = int(time.time())
    assert jobs(api, trusted.token(exp=now - 30, nbf=now - 60)).status_code == 200
    assert jobs(api, trusted.token(nbf=now + 30, iat=now + 30)).status_code == 200
    check_refused(jobs(api, trusted.token(exp=now - 120)))
    check_refused(jobs(api, trusted.token(nbf=now + 120)))


def test_another_key_under_a_known_id_is_refused(api: RunningApi, trusted: Issuer) -> None:
    check_refused(jobs(api, trusted.token(key=OTHER_RSA_KEY)))


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)
    )


def test_a_token_without_signature_is_refused_and_nothing_is_fetched(api: RunningApi, trusted: Issuer) -> None:
    for algorithm in ("none", "None", "NONE"):
        check_refused(jobs(api, unsigned({"alg": algorithm, "kid": "rsa"}, trusted.claims()) + "."))
    assert trusted.asked == []


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(api: RunningApi, trusted: Issuer) -> None:
    """The old confusion: HMAC under what everybody may read."""
    public = json.dumps(public_jwk(RSA_KEY, "rsa")).encode()
    body = unsigned({"alg": "HS256", "kid": "rsa"}, trusted.claims())
    signature = base64.urlsafe_b64encode(hmac.digest(public, body.encode(), hashlib.sha256)).decode().rstrip("=")
    check_refused(jobs(api, f"{body}.{signature}"))


def test_a_shared_secret_among_the_issuers_keys_verifies_nothing(api: RunningApi, trusted: Issuer) -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    listed = base64.urlsafe_b64encode(secret).decode().rstrip("=")
    trusted.keys.append({"kty": "oct", "kid": "secret", "alg": "HS256", "k": listed})
    check_refused(jobs(api, trusted.token(key=secret, algorithm="HS256", kid="secret")))


@pytest.mark.parametrize("algorithm", ["RS384", "PS256"])
def test_other_algorithms_of_a_good_key_are_refused(api: RunningApi, trusted: Issuer, algorithm: str) -> None:
    check_refused(jobs(api, trusted.token(algorithm=algorithm)))


def test_a_key_verifies_by_the_algorithm_of_its_kind_alone(api: RunningApi, trusted: Issuer) -> None:
    check_refused(jobs(api, trusted.token(key=EC_KEY, algorithm="ES256", kid="rsa")))


@pytest.mark.parametrize("changed", [{"use": "enc"}, {"alg": "RS512"}, {"n": "AQAB"}, {"n": "~"}, {"kty": "OKP"}])
def test_a_listed_key_that_is_not_to_verify_tokens_is_not_used(
    api: RunningApi, trusted: Issuer, changed: dict[str, str]
) -> None:
    trusted.keys += [public_jwk(OTHER_RSA_KEY, "other") | changed, "no key at all"]
    check_refused(jobs(api, trusted.token(key=OTHER_RSA_KEY, kid="other")))
    assert jobs(api, trusted.token()).status_code == 200


def test_a_token_that_does_not_name_its_key_or_asks_for_extensions_is_refused(api: RunningApi, trusted: Issuer) -> None:
    check_refused(jobs(api, trusted.token(kid=None)))
    headers = {"kid": "rsa", "crit": ["b64"], "b64": True}
    check_refused(jobs(api, jwt.encode(trusted.claims(), RSA_KEY, algorithm="RS256", headers=headers)))


def head(text: str) -> str:
    """Return a token with this header and no valid signature."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") + ".e30.AA"


@pytest.mark.parametrize(
    "bearer",
    [
        *("a.b.c", "..", "e30.e30.", "é.é.é"),
        head('{"alg": ["RS256"], "kid": "rsa"}'),
        head('{"alg": {}, "kid": "rsa"}'),
        head('{"alg": "RS256", "kid": ' + "[" * 20_000),
    ],
    ids=["no base64", "empty", "no key", "no ASCII", "list of algorithms", "no algorithm", "deep"],
)
def test_what_only_looks_like_a_token_is_refused(api: RunningApi, trusted: Issuer, bearer: str) -> None:
    headers = {"authorization": f"Bearer {bearer}".encode()}
    check_refused(httpx.get(f"{api.url}/v1/jobs", headers=headers, trust_env=False))
    assert trusted.asked == []


def test_an_issuer_that_is_away_is_503_and_not_401(api: RunningApi, trusted: Issuer) -> None:
    trusted.status = 503
    answer = jobs(api, trusted.token())
    check_refused(answer, 503, "issuer_unavailable")
    assert answer.json()["retryable"] is True
    assert int(answer.headers["retry-after"]) >= 1


def test_a_discovery_document_of_another_issuer_is_not_believed(api: RunningApi, trusted: Issuer) -> None:
    trusted.named = "https://elsewhere.example"
    check_refused(jobs(api, trusted.token()), 503, "issuer_unavailable")
    assert trusted.fetches() == 0


def test_a_tokens_subject_is_told_nowhere(api: RunningApi, trusted: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    answer = jobs(api, trusted.token(aud="another service"))
    assert "nurse" not in answer.text + caplog.text
