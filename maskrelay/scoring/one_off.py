"""Send a single score, for commands that call an endpoint once and then end."""

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
    """Let the endpoint score one row, without the flow control.

    The call blocks. Raises EndpointError or SettingsError.
    """

    async def scored() -> Scored[RowAnswer]:
        client = EndpointClient(endpoint, credential, wire, timeout=timeout, max_connections=1)
        try:
            return await client.score(wire.encode([row]), [row], request_id=request_id)
        finally:
            await client.aclose()

    return asyncio.run(scored())
