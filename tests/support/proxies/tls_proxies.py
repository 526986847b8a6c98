"""A port with TLS in front of a port without TLS, as a child process.

`python -m tests.support.proxies.tls_proxies PORT CERTIFICATE KEY [CLIENTS]` is the child process. It prints its own
port and serves until it is ended.
"""

import asyncio
import contextlib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def tls_before(port: int, certificate: Path, key: Path, clients: Path | None = None) -> Iterator[int]:
    """Yield a port that passes bytes on to `port`.

    The authority `clients` must have signed the certificates of clients.
    """
    command = [sys.executable, "-m", "tests.support.proxies.tls_proxies", str(port), str(certificate), str(key)]
    command += [str(clients)] if clients else []
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield int(child.stdout.readline())
    finally:
        child.kill()
        child.communicate()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while heard := await reader.read(1 << 16):
            writer.write(heard)
            await writer.drain()
    writer.close()


async def serve(port: int, certificate: str, key: str, clients: str | None = None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, before), pump(behind, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:]))
