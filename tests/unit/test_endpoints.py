import json

import pytest

from maskrelay.endpoints import Endpoint, read_endpoints
from maskrelay.errors import SettingsError
from maskrelay.settings import Settings

NEEDED = {"redis_url": "redis://localhost", "storage_url": "file:///tmp/x", "server_key": "k" * 32}
SECRET = "s3cret-k3y"


def settings(**more):
    return Settings.model_validate({**NEEDED, **more})


def pool(tmp_path, *endpoints):
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps(list(endpoints)))
    return settings(endpoints_file=str(file))


def described(**more):
    return {"name": "a", "url": "https://a.example/score", "key": SECRET, **more}


def test_the_environment_describes_one_endpoint():
    given = settings(endpoint_url="https://e.example/score", endpoint_key=SECRET, endpoint_max_in_flight=8)
    [endpoint] = read_endpoints(given)
    assert (endpoint.name, endpoint.url, endpoint.max_in_flight) == ("default", "https://e.example/score", 8)
    assert endpoint.key.get_secret_value() == SECRET


def test_a_file_describes_a_pool_in_its_order(tmp_path):
    endpoints = read_endpoints(pool(tmp_path, described(name="b", weight=3), described(tenants=["t"])))
    assert [(one.name, one.weight, one.tenants) for one in endpoints] == [("b", 3.0, ()), ("a", 1.0, ("t",))]


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"name": "A b"}, "0.name"),
        ({"max_in_flight": 0}, "0.max_in_flight"),
        ({"colour": "red"}, "0.colour"),
        ({"weight": 0}, "0.weight"),
        ({"wire": "4d"}, "0.wire"),
        ({"key_file": "also"}, "either key or key_file"),
        ({"key": None}, "either key or key_file"),
        ({"auth": "aml_token"}, "token_url"),
    ],
)
def test_what_is_wrong_in_a_pool_is_named_and_the_key_is_not(tmp_path, more, named):
    with pytest.raises(SettingsError) as caught:
        read_endpoints(pool(tmp_path, described(**more)))
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("endpoints", [[], [described(), described()]])
def test_a_pool_has_endpoints_and_each_its_own_name(tmp_path, endpoints):
    with pytest.raises(SettingsError, match="must be unique"):
        read_endpoints(pool(tmp_path, *endpoints))


def test_a_pool_and_a_single_endpoint_cannot_both_be_set(tmp_path):
    both = pool(tmp_path, described()).model_copy(update={"endpoint_url": "https://e.example/score"})
    with pytest.raises(SettingsError, match="ENDPOINTS_FILE"):
        read_endpoints(both)


def test_a_file_that_is_missing_or_no_json_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_endpoints(settings(endpoints_file=str(tmp_path / "none")))
    (tmp_path / "bad").write_text("{")
    with pytest.raises(SettingsError, match="not JSON"):
        read_endpoints(settings(endpoints_file=str(tmp_path / "bad")))


def test_the_limit_starts_at_what_is_declared_and_below_the_cap():
    starts = [
        Endpoint(url="http://e", key="k", max_in_flight=8, concurrency=declared).starts_at()
        for declared in (None, 4, 16)
    ]
    assert starts == [8, 4, 8]


def test_a_key_is_not_in_an_endpoints_text():
    assert SECRET not in repr(Endpoint(**described()))
