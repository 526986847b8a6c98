"""Authentication middleware, which checks the caller and the declared length before the body is read."""

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth.api_keys import KeysFile
from api.auth.oidc import TokenVerifier
from api.auth.scopes import Caller
from maskrelay.errors import BodyTooLarge, Malformed, Unauthenticated


class Authentication:
    """ASGI middleware that stores the `Caller` in the request's state. It does not check the scopes.

    Paths in `public` need no caller. If `metrics_key` is given, it protects the paths in `operators`.

    Raises Unauthenticated or IssuerUnavailable. Raises Malformed if the declared length is not a number, or if the body
    has another framing too, and BodyTooLarge if the length is more than `max_body_bytes`. The real length is checked by
    the code that receives the body.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: KeysFile,
        tokens: TokenVerifier | None,
        max_body_bytes: int,
        *,
        public: frozenset[str],
        operators: frozenset[str],
        metrics_key: str | None = None,
    ) -> None:
        self._public = public
        self._operators = operators
        self._metrics_key = metrics_key
        self._app = app
        self._keys = keys
        self._tokens = tokens
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._public:
            headers = Headers(scope=scope)
            caller = await self._caller(_bearer(headers.get("authorization", "")))
            check_length(headers, self._max_body_bytes)
            scope["state"]["caller"] = caller
        elif scope["type"] == "http" and self._metrics_key is not None and scope["path"] in self._operators:
            given = _bearer(Headers(scope=scope).get("authorization", ""))
            if not hmac.compare_digest(given.encode(), self._metrics_key.encode()):
                raise Unauthenticated
        await self._app(scope, receive, send)

    async def _caller(self, bearer: str) -> Caller:
        """Return the caller with this API key or token.

        The keys are tried first, because an API key may look like a token.
        """
        caller = self._keys.caller(bearer)
        if caller is None and self._tokens is not None and bearer.count(".") == 2:
            caller = await self._tokens.caller(bearer)
        if caller is None:
            raise Unauthenticated
        return caller


def check_length(headers: Headers, most: int) -> None:
    declared = headers.get("content-length", "0")
    if "content-length" in headers and "transfer-encoding" in headers:
        # A proxy in front might see another end of this request, and so give its next request to this caller.
        raise Malformed("A request has either Content-Length or Transfer-Encoding.")
    if not (declared.isascii() and declared.isdigit()):
        raise Malformed("Content-Length is not a number.")
    if int(declared) > most:
        raise BodyTooLarge(f"A body may have at most {most} bytes (MASKRELAY_MAX_BODY_BYTES).")


def _bearer(authorization: str) -> str:
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthenticated("Send the API key or token as 'Authorization: Bearer …'.")
    return key.strip()
