"""The address of the service with the caller's key, and the requests and replies of both drivers."""

from collections.abc import Sequence
from typing import Any

import httpx

from maskrelay.client.exchange import Broken, Exchange, Reply
from maskrelay.client.upload_sources import Part
from maskrelay.errors import NotFound, OptionInvalid, ServiceAnswerUnknown


def is_address(url: httpx.URL) -> bool:
    """Return whether a request can be sent to this URL: its host can be looked up, and its port exists."""
    try:
        url.raw_host.decode().encode("idna")  # raises an error for a name that cannot be looked up
        return url.scheme in {"http", "https"} and bool(url.host) and 0 < (url.port or 80) < 1 << 16
    except ValueError:
        return False


class ServiceAddress:
    """The address of the service, the headers of its requests, and the limit of each step of a request in seconds."""

    def __init__(self, url: str, api_key: str, timeout_s: float) -> None:
        self.url: str = url.rstrip("/")
        self.timeout_s = timeout_s
        self.headers: dict[str, str] = {"Authorization": f"Bearer {api_key}", "Accept": "application/json"}

    def address(self, path_or_link: str) -> str:
        """Return the URL of a path or a link. A link may contain another address of the service, which is replaced.

        Raises ServiceAnswerUnknown for a link that is neither.
        """
        _, found, rest = path_or_link.rpartition("/v1/")  # the prefix of a gateway may contain another /v1/
        if not found and not path_or_link.startswith("/"):  # it could continue the name of the host
            raise ServiceAnswerUnknown("The service named a link that is not its own.")
        return f"{self.url}/v1/{rest}" if found else self.url + path_or_link

    def request(
        self, http: httpx.Client | httpx.AsyncClient, exchange: Exchange, files: Sequence[Part] = ()
    ) -> httpx.Request:
        """Return a new request for each attempt, because a streamed body cannot be sent twice.

        Raises OptionInvalid for a number or a text that cannot be sent, NotFound for an id that leads to another path,
        and ServiceAnswerUnknown for a link that cannot be an address.
        """
        body: dict[str, Any] = {} if exchange.json is None else {"json": exchange.json}
        if files or exchange.form:
            body = {"files": files, "data": exchange.form}
        if not exchange.elsewhere and {".", ".."} & set(exchange.address.split("/")):
            raise NotFound
        try:
            address = httpx.URL(exchange.address if exchange.elsewhere else self.address(exchange.address))
        except (httpx.InvalidURL, UnicodeError):
            raise ServiceAnswerUnknown("The service named a link that cannot be an address.") from None
        try:
            return http.build_request(
                exchange.method,
                address,
                params=exchange.params or None,
                headers=exchange.headers,
                timeout=self.timeout_s + exchange.wait_s,
                **body,
            )
        except UnicodeError:
            raise OptionInvalid("A text has a character that cannot be sent.") from None
        except ValueError:  # of the encoder of JSON
            raise OptionInvalid("A number must be finite.") from None

    def reply(self, answer: httpx.Response, body: bytes) -> Reply:
        return Reply(answer.status_code, answer.headers, answer.url, body, self.url)

    def broken(self, trouble: httpx.HTTPError) -> Broken:
        return Broken(trouble, self.url, self.timeout_s)
