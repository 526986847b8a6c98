"""Sources on web servers: private addresses, secrets, redirects, and reads that are cut."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maskrelay.contract.records.source_pins import PinnedSource
from maskrelay.errors import SourceChanged, SourceForbidden, SourceUnavailable, SourceUnpinned
from maskrelay.sources.source_readers import SourceReaders
from tests.integration.sources.places import TOKEN, Place, https_credential, pinned
from tests.support.builders.certificates import Authority, server_context
from tests.support.servers.scripted_server import hang_up, http, serving


def test_a_server_at_a_private_address_is_not_reached_unless_it_is_allowed(
    web_place: Place, reading: Callable[..., SourceReaders]
) -> None:
    web_place.put("a.png", b"content")
    with pytest.raises(SourceForbidden, match="address"):
        reading({**web_place.entry, "allow": []}).stat("north", f"{web_place.base}a.png", None)


def test_the_requests_of_one_tenant_do_not_keep_another_from_a_store(
    web_place: Place, reading: Callable[..., SourceReaders]
) -> None:
    web_place.put("a.png", b"content")
    readers = reading({**web_place.entry, "reads": {"north": [web_place.base], "south": [web_place.base]}})
    pinned_by_north = pinned(readers, f"{web_place.base}a.png", web_place.entry["name"])
    readers._rests[("south", web_place.entry["name"], web_place.base.removesuffix("/"))] = float("inf")
    with pytest.raises(SourceUnavailable):
        readers.stat("south", pinned_by_north.url, None)
    assert b"".join(readers.stream(pinned_by_north)) == b"content"


@pytest.mark.parametrize("secret", ["Bearer a\nb", "Bearer \u00fc\u20ac"])
def test_a_secret_that_http_cannot_send_is_a_refusal_and_no_outage(
    secret: str, web_place: Place, reading: Callable[..., SourceReaders]
) -> None:
    web_place.put("a.png", b"content")
    with pytest.raises(SourceForbidden) as caught:
        reading({**web_place.entry, "secret": secret}).stat("north", f"{web_place.base}a.png", None)
    assert secret not in caught.value.detail


def test_a_secret_file_is_read_again(web_place: Place, reading: Callable[..., SourceReaders], tmp_path: Path) -> None:
    web_place.put("a.png", b"content")
    secret = tmp_path / "token"
    secret.write_text("Bearer old\n")
    entry = {name: value for name, value in web_place.entry.items() if name != "secret"}
    readers = reading({**entry, "secret_file": str(secret)})
    with pytest.raises(SourceForbidden):
        readers.stat("north", f"{web_place.base}a.png", None)
    secret.write_text(f"Bearer {TOKEN}\n")
    assert readers.stat("north", f"{web_place.base}a.png", None).size == 7


def scripted(authority: Authority, answers: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A web server that gives these answers, one to each request, and then hangs up."""
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))

    def script(sock: Any, seen: Any) -> None:
        sock.sendall(answers[seen.connection])
        hang_up(sock)

    return serving(script, tls=server_context(authority.issue("scripted", "127.0.0.1")))


def test_a_read_that_is_cut_goes_on_where_it_ended(
    authority: Authority, reading: Callable[..., SourceReaders], monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = {"ETag": '"1"'}
    answers = [
        http(206, b"0123", length=10, **etag, **{"Content-Range": "bytes 0-9/10"}),
        http(206, b"456789", **etag, **{"Content-Range": "bytes 4-9/10"}),
    ]
    with scripted(authority, answers, monkeypatch) as server:
        url = server.url.removesuffix("/score")
        source = PinnedSource(url=f"{url}/a.png", tenant="north", credential="web", size=10, etag='"1"')
        assert b"".join(reading(https_credential(url)).stream(source)) == b"0123456789"
    assert [seen.headers["range"] for seen in server.seen] == ["bytes=0-9", "bytes=4-9"]


def test_a_cut_read_never_goes_on_in_another_version(
    authority: Authority, reading: Callable[..., SourceReaders], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        http(206, b"0123", length=10, **{"ETag": '"1"', "Content-Range": "bytes 0-9/10"}),
        http(206, b"456789", **{"ETag": '"2"', "Content-Range": "bytes 4-9/10"}),
    ]
    got: list[bytes] = []
    with scripted(authority, answers, monkeypatch) as server:
        url = server.url.removesuffix("/score")
        source = PinnedSource(url=f"{url}/a.png", tenant="north", credential="web", size=10, etag='"1"')
        with pytest.raises(SourceChanged):
            got.extend(reading(https_credential(url)).stream(source))
    assert b"".join(got) in (b"", b"0123")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http(302, b"", Location="https://127.0.0.1:1/"), SourceForbidden),
        (http(200, b"12345"), SourceUnpinned),
    ],
)
def test_a_redirect_is_not_followed_and_a_server_without_versions_is_refused(
    answer: bytes,
    error: type[Exception],
    authority: Authority,
    reading: Callable[..., SourceReaders],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted(authority, [answer, answer], monkeypatch) as server:
        url = server.url.removesuffix("/score")
        with pytest.raises(error):
            reading(https_credential(url)).stat("north", f"{url}/a.png", None)
