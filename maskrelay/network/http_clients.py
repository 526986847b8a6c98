"""The options of httpx clients: the trusted certificate authorities, and the proxy."""

import ssl
from typing import Any

import httpx

from maskrelay.network.certificates import client_context
from maskrelay.network.proxies import Proxy, proxy_for


def client_options(
    url: str | httpx.URL, *, trusted: ssl.SSLContext | None = None, proxy: Proxy | None = None
) -> dict[str, Any]:
    """Return the arguments for an httpx client that sends requests only to the host of `url`.

    If `proxy` is None, the proxy that the environment names for this host is used. With these arguments, httpx itself
    does not read proxies and certificates from the environment, because it would fail for some values that other
    libraries accept. Raises SettingsError if a value in the environment cannot be used.
    """
    trusted = trusted or client_context()
    proxy = proxy or proxy_for(str(url))
    return {"verify": trusted, "trust_env": False, "proxy": proxy and _as_httpx(proxy, trusted)}


def _as_httpx(proxy: Proxy, trusted: ssl.SSLContext) -> httpx.Proxy:
    url = httpx.URL(scheme="https" if proxy.is_tls else "http", host=proxy.host, port=proxy.port)
    return httpx.Proxy(url, headers=proxy.headers, ssl_context=trusted if proxy.is_tls else None)
