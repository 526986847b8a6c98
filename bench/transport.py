"""The CPU time of one exchange with several HTTP clients: 1 MB up, and a response of one or three prompts down.

    python -m bench.transport [exchanges]

The server is another process, so the figures are only the client's: the milliseconds of CPU time per
exchange, as the median and the range of five runs. `floor` is a blocking socket that sends and receives the
same bytes without parsing them.
"""

import asyncio
import contextlib
import multiprocessing
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import httpx

from maskrelay.scoring.transport import Transport

BODY = b"x" * 1_000_000
#: The bytes of a response to one prompt, and to three.
ANSWERS = (1_400_000, 4_200_000)
RUNS = 5


def serve(port: Connection, answer: int) -> None:
    asyncio.run(_serve(port, answer))


async def _serve(port: Connection, size: int) -> None:
    reply = f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode() + b"y" * size

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # the client has finished
            while await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(len(BODY))
                writer.write(reply)

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 22)
    port.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def through_httpx(url: str, size: int, times: int, transport: httpx.AsyncBaseTransport | None) -> float:
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=None) as client:  # noqa: S113 - a bench

        async def once() -> None:
            async with client.stream("POST", url, content=BODY) as response:
                chunks = [chunk async for chunk in response.aiter_bytes()]
            assert len(b"".join(chunks)) == size

        return await _cpu(once, times)


async def through_a_socket(url: str, size: int, times: int) -> float:
    where = httpx.URL(url)
    head = f"POST / HTTP/1.1\r\nhost: {where.host}\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()
    into = bytearray(1 << 22)
    with socket.create_connection((where.host, where.port or 80)) as connection:

        async def once() -> None:
            connection.sendall(head)
            connection.sendall(BODY)
            got = 0
            while got < size:
                got += connection.recv_into(into)

        return await _cpu(once, times)


async def _cpu(once: Callable[[], Awaitable[None]], times: int) -> float:
    """Return the CPU milliseconds of this process for one call, after three calls as a warm-up."""
    for _ in range(3):
        await once()
    began = time.process_time()
    for _ in range(times):
        await once()
    return (time.process_time() - began) * 1000 / times


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for size in ANSWERS:
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.Process(target=serve, args=(theirs, size), daemon=True)
        server.start()
        _measure(f"http://127.0.0.1:{ours.recv()}/score", size, times)
        server.terminate()


def _measure(url: str, size: int, times: int) -> None:
    ways: dict[str, Callable[[], Awaitable[float]]] = {
        "floor": lambda: through_a_socket(url, size, times),
        "httpx as it comes": lambda: through_httpx(url, size, times, None),
        "httpx over our transport": lambda: through_httpx(
            url, size, times, Transport(httpx.URL(url), max_connections=1)
        ),
    }
    print(f"{size / 1e6:.1f} MB down")
    for name, way in ways.items():
        runs = [asyncio.run(way()) for _ in range(RUNS)]
        print(f"  {name:26} {statistics.median(runs):6.2f} ms  ({min(runs):.2f} to {max(runs):.2f})")


if __name__ == "__main__":
    main()
