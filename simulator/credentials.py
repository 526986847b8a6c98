"""Authentication: a key, expiring tokens of the control plane, or a given Entra token."""

import hmac
import math
import secrets
import time
from dataclasses import dataclass, field

from simulator.messages import Answer, Request, json_answer

MODES = ("key", "aml_token", "entra")
# The share of a token's life after which it should be renewed. Azure's value is not known.
REFRESH_SHARE = 0.5


@dataclass
class Credentials:
    """The bearer tokens that the gateway accepts, in one of `MODES`.

    `fixed` is the key or the Entra token. It may be replaced at run time, and None accepts nothing. In the mode
    `aml_token`, the gateway accepts tokens from `issue`, each for `token_life_s` seconds.
    """

    mode: str
    fixed: str | None = None
    control_plane_token: str | None = None
    token_life_s: float = 3600.0
    _issued: dict[str, int] = field(default_factory=dict)

    def accepts(self, request: Request) -> bool:
        """Return whether the request's `Authorization` contains a token that is valid now."""
        token = _bearer(request)
        if self.mode != "aml_token":
            return self.fixed is not None and hmac.compare_digest(token.encode(), self.fixed.encode())
        return time.time() < self._issued.get(token, 0)

    def answers(self, request: Request) -> bool:
        """Return whether this is a call of the control plane's operation that issues tokens."""
        return self.mode == "aml_token" and request.path.endswith("/token")

    def issue(self, request: Request) -> Answer:
        """Issue a token as the control plane does in "Online Endpoints - Get Token". Times are in epoch seconds."""
        if request.method != "POST":
            return json_answer(405, {"error": {"code": "MethodNotAllowed", "message": "POST only."}})
        known = self.control_plane_token or ""
        if not known or not hmac.compare_digest(_bearer(request).encode(), known.encode()):
            return json_answer(401, {"error": {"code": "AuthenticationFailed", "message": "Authentication failed."}})
        token, now = secrets.token_urlsafe(24), time.time()
        self._issued[token] = math.ceil(now + self.token_life_s)
        content = {
            "accessToken": token,
            "expiryTimeUtc": self._issued[token],
            "refreshAfterTimeUtc": int(now + self.token_life_s * REFRESH_SHARE),
            "tokenType": "Bearer",
        }
        return json_answer(200, content)

    def expire(self) -> None:
        """Let every issued token expire. A key does not expire."""
        self._issued.clear()
        if self.mode == "entra":
            self.fixed = None


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""
