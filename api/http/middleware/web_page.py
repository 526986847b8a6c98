"""Middleware that serves the web page and its files from `api/web/`. They need no API key.

`/` is `index.html`, `/docs` is `docs.html`, and `/assets/…` are the files in `assets/`. All files are read when the
process starts, so a path from a caller is only compared with known paths.
"""

import gzip
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.headers import none_match
from maskrelay.errors import MethodNotAllowed, NotFound

FOLDER = Path(__file__).parents[2] / "web"
_ASSETS = "/assets/"
#: The media types by file name extension. A file with another extension is not served.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
#: The extensions of files that are already compressed.
_COMPRESSED = frozenset({".png", ".webp", ".woff2"})
#: The names of files in this folder contain their version, so browsers need not ask for them again.
_VENDOR = "/assets/vendor/"
_FOREVER, _CHECKED = "public, max-age=31536000, immutable", "no-cache"
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
#: A function that returns the origins to which the page may connect, in addition to its own.
Origins = Callable[[], Awaitable[tuple[str, ...]]]


async def no_origins() -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class WebFile:
    """A file of the page. Its compressed form is made when it is first needed, and kept."""

    body: bytes
    media_type: str
    compressible: bool
    immutable: bool

    @cached_property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.body, 9, mtime=0)


class WebPage:
    """ASGI middleware that answers the paths of the page, and passes all other requests on.

    Raises NotFound for an unknown path below `/assets/`, and MethodNotAllowed for a method other than GET.
    """

    def __init__(self, app: ASGIApp, folder: Path = FOLDER, origins: Origins = no_origins) -> None:
        self._app = app
        self._files = read_files(folder)
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path in self._files or path.startswith(_ASSETS)):
            await self._app(scope, receive, send)
            return
        # the metrics have one label for all files
        scope["route"] = SimpleNamespace(path=f"{_ASSETS}{{file}}" if path.startswith(_ASSETS) else path)
        if scope["method"] != "GET":
            raise MethodNotAllowed(headers={"Allow": "GET, HEAD"})
        if path not in self._files:
            raise NotFound
        response = await self._response(self._files[path], Headers(scope=scope))
        await response(scope, receive, send)

    async def _response(self, file: WebFile, asked: Headers) -> Response:
        policy = content_security_policy(await self._origins())
        headers = {
            **_HEADERS,
            "Cache-Control": _FOREVER if file.immutable else _CHECKED,
            "Content-Security-Policy": policy,
            "ETag": file.etag,
        }
        if none_match(asked, file.etag):
            return Response(status_code=304, headers=headers)
        if file.compressible and "gzip" in asked.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            body = await run_sync(lambda: file.compressed)
        else:
            body = file.body
        return Response(body, headers=headers, media_type=file.media_type)


def content_security_policy(origins: tuple[str, ...] = ()) -> str:
    """Return the policy of the page: no inline script, and no request to another host.

    `origins` are the hosts of the identity provider, from which the page gets a token after the sign-in.
    """
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob: data:",
        "font-src": "'self'",
        "connect-src": " ".join(("'self'", *origins)),
        "worker-src": "'self' blob:",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{directive} {sources}" for directive, sources in rules.items())


def read_files(folder: Path) -> Mapping[str, WebFile]:
    """Return the files of the page by their paths."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix not in _TYPES:
            continue
        name = path.relative_to(folder).as_posix()
        url = f"/{name}" if name.startswith("assets/") else _page_path(name)
        files[url] = WebFile(
            path.read_bytes(), _TYPES[path.suffix], path.suffix not in _COMPRESSED, url.startswith(_VENDOR)
        )
    return files


def _page_path(name: str) -> str:
    """Return the path of a document that is not below `assets/`, such as `/docs` for `docs.html`."""
    stem = name.removesuffix(".html")
    return "/" if stem == "index" else f"/{stem}"
