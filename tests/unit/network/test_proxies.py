"""Which proxy is used for which address, and what is said of one that cannot be used."""

import base64

import pytest

from maskrelay.errors import SettingsError
from maskrelay.network.proxies import Proxy, environment_proxy, read_proxy

NAMES = [
    case(name) for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for case in (str.lower, str.upper)
]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def basic(words: str) -> str:
    return "Basic " + base64.b64encode(words.encode()).decode()


@pytest.mark.parametrize(
    ("text", "host", "port", "is_tls", "authorization"),
    [
        ("http://proxy.example:3128", "proxy.example", 3128, False, None),
        ("proxy.example:3128", "proxy.example", 3128, False, None),
        ("proxy.example", "proxy.example", 80, False, None),
        ("HTTP://Proxy.Example/", "proxy.example", 80, False, None),
        ("https://proxy.example", "proxy.example", 443, True, None),
        ("http://user:word@proxy.example:1", "proxy.example", 1, False, basic("user:word")),
        ("http://us%40er:w%3Ao%2Frd%23@proxy.example:1", "proxy.example", 1, False, basic("us@er:w:o/rd#")),
        ("http://us%C3%A9r:@proxy.example:1", "proxy.example", 1, False, basic("usér:")),
        ("http://user@proxy.example:1", "proxy.example", 1, False, basic("user:")),
        ("http://[2001:db8::1]:3128", "2001:db8::1", 3128, False, None),
    ],
)
def test_a_proxy_is_read(text, host, port, is_tls, authorization):
    read = read_proxy(text, "HTTPS_PROXY")
    assert (read.host, read.port, read.is_tls, read.authorization) == (host, port, is_tls, authorization)
    assert "word" not in repr(read)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("socks5://user:s3cret@proxy:1080", "SOCKS"),
        ("socks://proxy:1080", "SOCKS"),
        ("SOCKS5H://proxy:1080", "SOCKS"),
        ("http://user:s3cret@2001:db8::1:3128", "cannot be read"),
        ("http://user:s3cret@[::1", "cannot be read"),
        ("http://user:s3cret@proxy:port", "cannot be read"),
        ("http://user:s3cret@", "not the URL"),
        ("ftp://user:s3cret@proxy", "not the URL"),
        ("http://user:s3cret@proxy/path", "not the URL"),
        ("http://us%3Aer:s3cret@proxy", "colon"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_one_clear_line_without_its_password(text, words):
    with pytest.raises(SettingsError, match=words) as caught:
        read_proxy(text, "HTTPS_PROXY")
    assert caught.value.detail.startswith("HTTPS_PROXY")
    assert "s3cret" not in f"{caught.value!r} {vars(caught.value)}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_variable_of_the_scheme_counts_lower_case_first_and_then_the_one_for_all(monkeypatch):
    assert environment_proxy("https", "a.example", 443) is None
    monkeypatch.setenv("ALL_PROXY", "http://all:1")
    assert environment_proxy("https", "a.example", 443) == Proxy("all", 1, url="http://all:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://upper:2")
    assert environment_proxy("https", "a.example", 443).host == "upper"
    monkeypatch.setenv("https_proxy", "http://lower:3")
    assert environment_proxy("https", "a.example", 443).host == "lower"
    assert environment_proxy("http", "a.example", 80).host == "all"


@pytest.mark.parametrize(
    ("listed", "host", "port", "excepted"),
    [
        ("", "a.example", 443, False),
        ("*", "a.example", 443, True),
        ("a.example", "a.example", 443, True),
        ("A.Example", "a.example.", 443, True),
        ("example", "a.example", 443, True),
        (".example", "a.example", 443, True),
        ("*.example", "a.example", 443, True),
        ("ample", "a.example", 443, False),
        ("other, a.example ,x", "a.example", 443, True),
        ("other a.example", "a.example", 443, True),
        ("a.example:443", "a.example", 443, True),
        ("a.example:80", "a.example", 443, False),
        ("10.0.0.1", "10.0.0.1", 443, True),
        ("10.0.0.1:443", "10.0.0.1", 443, True),
        ("10.0.0.1:80", "10.0.0.1", 443, False),
        ("10.0.0.0/8", "10.9.8.7", 443, True),
        ("10.0.0.0/8", "11.9.8.7", 443, False),
        ("10.0.0.0/8", "a.example", 443, False),
        ("::1", "::1", 443, True),
        ("[::1]", "[::1]", 443, True),
        ("[::1]:443", "::1", 443, True),
        ("[::1]:80", "::1", 443, False),
        ("fd00::/8", "fd12::1", 443, True),
        ("nonsense/9,%%", "10.0.0.1", 443, False),
    ],
)
def test_no_proxy_lists_what_is_reached_directly(listed, host, port, excepted, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", listed)
    assert (environment_proxy("https", host, port) is None) is excepted
