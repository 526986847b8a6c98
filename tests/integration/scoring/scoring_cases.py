"""One request with its good answer, and the ways the tests ask the scoring client for it."""

import asyncio
import base64
import json
from datetime import timedelta

from maskrelay.contract.wire.image2d import Row, encode_request
from maskrelay.endpoints import Endpoint
from maskrelay.errors import EndpointError
from maskrelay.scoring.credentials import credential_of
from maskrelay.scoring.endpoint_client import EndpointClient
from maskrelay.scoring.wire_formats import IMAGE2D
from tests.support.servers.scripted_server import http

KEY = "s3cr3t-k3y-of-the-endpoint"
ROWS = [Row(b"\x89PNG a picture", ("optic cup", "optic disc"))]
BODY = encode_request(ROWS)
MAPS = bytes(2 * 1024 * 1024)
FEATURES = {"data": base64.b64encode(MAPS).decode(), "shape": [2, 1024, 1024], "dtype": "uint8"}
ANSWER = json.dumps([{"image_features": json.dumps(FEATURES), "text_features": ["eye anatomies"] * 2}]).encode()
GOOD = http(200, ANSWER, content_type="application/json")


def client_of(url, *, credential=None, wire=IMAGE2D, timeout_s=20.0, deployment=None, endpoint=None, **more):
    endpoint = endpoint or Endpoint(url=url, key=KEY, deployment=deployment, wire=wire.name)
    credential = credential or credential_of(endpoint)
    return EndpointClient(endpoint, credential, wire, timeout=timedelta(seconds=timeout_s), max_connections=2, **more)


def score(url, rows=ROWS, *, times=1, request_id="r-1", traceparent=None, wire=IMAGE2D, **more):
    """What the last of `times` scores in a row gives, or its EndpointError."""

    async def run():
        client = client_of(url, wire=wire, **more)
        try:
            for _ in range(times):
                scored = await client.score(wire.encode(rows), rows, request_id=request_id, traceparent=traceparent)
        except EndpointError as error:
            return error
        finally:
            await client.aclose()
        return scored

    return asyncio.run(run())


def sends(*pieces):
    def script(sock, _request):
        for piece in pieces:
            sock.sendall(piece) if isinstance(piece, bytes) else piece(sock)

    return script


def connections(server):
    """Return the number of the connection of each request that the server has seen."""
    return [seen.connection for seen in server.seen]
