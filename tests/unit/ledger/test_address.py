"""Where Redis is, read off the URL."""

import pytest

from maskrelay.errors import SettingsError
from maskrelay.ledger.address import Sentinels, sentinels_of


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("redis+sentinel://one/mymaster", Sentinels((("one", 26379),), "mymaster", 0, "")),
        (
            "redis+sentinel://mr:s%40cret@one:5000,two,three:5002/mymaster/3",
            Sentinels((("one", 5000), ("two", 26379), ("three", 5002)), "mymaster", 3, "mr:s%40cret"),
        ),
    ],
)
def test_sentinels_are_read_off_the_url(url: str, meant: Sentinels):
    assert sentinels_of(url) == meant


def test_the_master_is_asked_with_its_user_and_the_sentinels_without():
    sentinels = sentinels_of("redis+sentinel://mr:s%40cret@one,two/mymaster/3")
    assert sentinels is not None
    assert sentinels.as_broker() == "sentinel://mr:s%40cret@one:26379/3;sentinel://mr:s%40cret@two:26379/3"
    known = sentinels.client(socket_timeout=1).connection_pool.connection_kwargs
    assert (known["username"], known["password"], known["db"]) == ("mr", "s@cret", 3)


@pytest.mark.parametrize("url", ["redis://one/0", "rediss://u:p@one:6380/0", "unix:///run/redis.sock"])
def test_any_other_url_has_none(url: str):
    assert sentinels_of(url) is None


@pytest.mark.parametrize("rest", ["one", "one/", "one:x/mymaster", ",two/mymaster", "one/mymaster/x", "/mymaster"])
def test_a_url_of_the_wrong_shape_is_refused_without_its_password(rest: str):
    with pytest.raises(SettingsError, match=r"a Redis URL for Sentinels is redis\+sentinel") as refused:
        sentinels_of(f"redis+sentinel://user:hidden@{rest}")
    assert "hidden" not in str(refused.value)
