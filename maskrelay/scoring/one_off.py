"""One score without a worker, for commands that call an endpoint once."""

import asyncio
from datetime import timedelta

from maskrelay.contract.wire.image2d import Row, RowAnswer
from maskrelay.endpoints import Endpoint
from maskrelay.scoring.credentials import Credential
from maskrelay.scoring.endpoint_client import EndpointClient, Scored
from maskrelay.scoring.wire_formats import IMAGE2D, WireFormat


def score_once(
    endpoint: Endpoint,
    credential: Credential,
    row: Row,
    *,
    timeout: timedelta,
    request_id: str,
    wire: WireFormat[RowAnswer] = IMAGE2D,
) -> Scored[RowAnswer]:
    """Send one row to the endpoint and return its answer. No slot is needed.

    The call blocks until the response has arrived. Raises EndpointError if the score fails, and SettingsError if no
    client can be created for the endpoint.
    """

    async def scored() -> Scored[RowAnswer]:
        client = EndpointClient(endpoint, credential, wire, timeout=timeout, max_connections=1)
        try:
            return await client.score(wire.encode([row]), [row], request_id=request_id)
        finally:
            await client.aclose()

    return asyncio.run(scored())
