"""Who calls, and how much they announce: settled before a byte of the body is read."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api import keysfile
from maskrelay.errors import BodyTooLarge, Malformed, ScopeMissing, Unauthenticated

#: What is told to everybody who reaches the port; an ingress should let the first three of them stay inside.
PUBLIC = frozenset({"/livez", "/readyz", "/v1/scaling", "/openapi.json"})


class Authorise:
    """ASGI middleware: puts the `Caller` into the request's state.

    Raises Unauthenticated, ScopeMissing (reading needs `read`, everything else `submit`), and BodyTooLarge for a
    declared length over `max_body_bytes`; how long a body of unknown length gets is watched while it comes.
    """

    def __init__(self, app: ASGIApp, keys: keysfile.KeysFile, max_body_bytes: int) -> None:
        self._app = app
        self._keys = keys
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PUBLIC:
            headers = Headers(scope=scope)
            caller = self._keys.caller(_bearer(headers.get("authorization", "")))
            needed: keysfile.Scope = "read" if scope["method"] in {"GET", "HEAD"} else "submit"
            if not caller.may(needed):
                raise ScopeMissing(f"The API key lacks the scope '{needed}'.")
            check_length(headers, self._max_body_bytes)
            scope["state"]["caller"] = caller
        await self._app(scope, receive, send)


def check_length(headers: Headers, most: int) -> None:
    declared = headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdigit()):
        raise Malformed("Content-Length is not a number.")
    if int(declared) > most:
        raise BodyTooLarge(f"A body has at most {most} bytes (MASKRELAY_MAX_BODY_BYTES).")


def _bearer(authorization: str) -> str:
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthenticated("Send the API key as 'Authorization: Bearer …'.")
    return key.strip()
