"""An OpenID Connect issuer on loopback: a real HTTP server for its discovery document and its
keys, which signs tokens.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support.servers.running import running

AUDIENCE = "maskrelay-tests"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def public_jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    of = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**of.to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


@dataclass
class Issuer:
    """An issuer that lists `keys`. A `status` other than 200 replaces every answer. `asked` has the requested paths."""

    url: str = ""
    keys: list[Any] = field(default_factory=list)
    status: int = 200
    named: str | None = None
    asked: list[str] = field(default_factory=list)
    #: Further members of the discovery document.
    endpoints: dict[str, str] = field(default_factory=dict)

    def fetches(self) -> int:
        return sum(path == "/keys" for path in self.asked)

    def claims(self, **more: Any) -> dict[str, Any]:
        now = int(time.time())
        known = {"iss": self.url, "aud": AUDIENCE, "sub": "nurse@north.example", "iat": now, "exp": now + 300}
        claims = known | {"tenant": "north", "scope": "openid read submit"} | more
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *, key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "rsa", **claims: Any) -> str:
        """Return a token with these claims. None leaves a claim (or the `kid`) out."""
        headers = {"kid": kid} if kid is not None else {}
        return jwt.encode(self.claims(**claims), key, algorithm=algorithm, headers=headers)


@contextmanager
def issuer() -> Iterator[Issuer]:
    known = Issuer(keys=[public_jwk(RSA_KEY, "rsa", use="sig", alg="RS256"), public_jwk(EC_KEY, "ec")])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.asked.append(self.path)
            about = {"issuer": known.named or known.url, "jwks_uri": f"{known.url}/keys"} | known.endpoints
            body = json.dumps({"keys": known.keys} if self.path == "/keys" else about).encode()
            self.send_response(known.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.url = f"http://127.0.0.1:{server.server_address[1]}"
        with running(server):
            yield known
