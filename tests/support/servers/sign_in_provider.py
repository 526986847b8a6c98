"""An OpenID Connect provider where people sign in with a browser, as a child process on a free loopback port.

It gives codes only for requests with PKCE (S256), accepts each code once, with the verifier and the redirect URL of its
request, and lets the page of that URL read the answer (CORS). `python -m tests.support.servers.sign_in_provider` is the
child process. It prints its port on one line and serves until it is ended.
"""

import base64
import hashlib
import html
import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

ROOT = Path(__file__).parents[3]
AUDIENCE, CLIENT, SCOPE = "maskrelay-page", "the-page", "openid masks"
#: The page of the service, on any port.
_REDIRECT = re.compile(r"http://127\.0\.0\.1:[0-9]+/")
_PAGE = """<!doctype html><html lang="en"><title>Provider</title><h1>Provider</h1>
<p><a href="{allowed}">Continue as nurse</a></p><p><a href="{refused}">Refuse</a></p></html>"""


@contextmanager
def sign_in_provider() -> Iterator[str]:
    """Run a provider, and yield its URL, which is also the issuer of its tokens."""
    words = [sys.executable, "-m", "tests.support.servers.sign_in_provider"]
    child = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        port = child.stdout.readline().strip()
        assert port, "the provider did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        child.communicate()


def environment(url: str) -> dict[str, str]:
    """Return the settings of a service whose page signs people in at this provider."""
    return {"oidc_issuer": url, "oidc_audience": AUDIENCE, "oidc_client_id": CLIENT, "oidc_scope": SCOPE}


class _Handler(BaseHTTPRequestHandler):
    #: The requests of the codes that were not used yet.
    codes: dict[str, dict[str, str]]
    key: rsa.RSAPrivateKey
    url: str

    def do_GET(self) -> None:
        path, asked = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
        if path == "/.well-known/openid-configuration":
            self._send_json(200, self._discovery())
        elif path == "/keys":
            key = {**RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True), "kid": "1", "use": "sig", "alg": "RS256"}
            self._send_json(200, {"keys": [key]})
        elif path == "/authorize" and _is_acceptable(asked):
            self._authorize(asked)
        else:
            self._send(400, "text/plain", b"This request is not acceptable.")

    def do_POST(self) -> None:
        asked = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
        request = self.codes.pop(asked.get("code", ""), None)
        if request is None or not _is_answer(asked, request):
            self._send_json(400, {"error": "invalid_grant"}, **_shared("*"))
            return
        page = request["redirect_uri"].rstrip("/")
        answer = {"access_token": self._token(), "token_type": "Bearer", "expires_in": 300}
        self._send_json(200, answer, **_shared(page))

    def _discovery(self) -> dict[str, str]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }

    def _authorize(self, asked: dict[str, str]) -> None:
        """Show a page with two links, back to the page of the service."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        refusal = {"error": "access_denied", "error_description": "The person refused."}
        links = {
            name: html.escape(f"{asked['redirect_uri']}?{urlencode({**answer, 'state': asked['state']})}")
            for name, answer in {"allowed": {"code": code}, "refused": refusal}.items()
        }
        self._send(200, "text/html; charset=utf-8", _PAGE.format(**links).encode())

    def _token(self) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "nurse@north.example", "iat": now, "exp": now + 300}
        claims |= {"tenant": "ward", "scope": "openid read submit"}
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "1"})

    def _send_json(self, status: int, value: object, **headers: str) -> None:
        self._send(status, "application/json", json.dumps(value).encode(), **headers)

    def _send(self, status: int, media_type: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": media_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


def _is_acceptable(asked: dict[str, str]) -> bool:
    known = {"response_type": "code", "client_id": CLIENT, "scope": SCOPE, "code_challenge_method": "S256"}
    return (
        all(asked.get(name) == value for name, value in known.items())
        and _REDIRECT.fullmatch(asked.get("redirect_uri", "")) is not None
        and len(asked.get("code_challenge", "")) == 43
        and len(asked.get("state", "")) >= 16
    )


def _is_answer(asked: dict[str, str], request: dict[str, str]) -> bool:
    """Return whether the request of a token belongs to the request of its code."""
    digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
    known = {"grant_type": "authorization_code", "client_id": CLIENT, "redirect_uri": request["redirect_uri"]}
    return (
        all(asked.get(name) == value for name, value in known.items())
        and base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == request["code_challenge"]
    )


def _shared(origin: str) -> dict[str, str]:
    return {"Access-Control-Allow-Origin": origin}


def serve() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    _Handler.codes, _Handler.url = {}, f"http://127.0.0.1:{server.server_port}"
    _Handler.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve()
