"""`python -m simulator`: start the endpoint; one JSON line on stdout says where, once it answers."""

import argparse
import asyncio
import contextlib
import json
import socket

import uvicorn

from simulator.app import Simulator
from simulator.container import Container
from simulator.counters import Counters
from simulator.gateway import Gateway


def main() -> None:
    """Serve until interrupted or terminated."""
    arguments = arguments_of(None)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(arguments))


def arguments_of(line: list[str] | None) -> argparse.Namespace:
    """What the command line asks for (`None`: this process's own); a wrong one ends it with a usage message."""
    parser = _parser()
    arguments = parser.parse_args(line)
    if arguments.key is None and not arguments.no_gateway:
        parser.error("--key is needed, or --no-gateway")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0 picks a free one (default)")
    add("--key", help="the bearer token the gateway accepts")
    add("--service-time", type=float, default=0.0, metavar="S", help="least seconds for one row")
    add("--max-concurrent", type=int, default=1, metavar="C", help="requests an instance works on at once")
    add("--instances", type=int, default=1, metavar="I")
    add("--request-timeout", type=float, default=90.0, metavar="S", help="after which the gateway answers 408")
    add("--requests-per-s", type=float, default=500.0, metavar="R", help="over which the gateway answers 429")
    add("--scoring-timeout", type=float, default=3600.0, metavar="S", help="the container's own, answered with 500")
    add("--deployment", default="simulator", help="the one name azureml-model-deployment may carry")
    add("--gzip", action="store_true", help="compress answers for clients that accept it")
    add("--no-gateway", action="store_true", help="the bare container")
    return parser


def build(arguments: argparse.Namespace) -> Simulator:
    """The application these arguments describe."""
    counters = Counters()
    slots = arguments.max_concurrent * arguments.instances
    container = Container(slots, arguments.service_time, arguments.scoring_timeout, counters)
    gateway = None
    if not arguments.no_gateway:
        gateway = Gateway(
            container,
            counters,
            arguments.key,
            arguments.deployment,
            arguments.request_timeout,
            arguments.requests_per_s,
        )
    return Simulator(container, gateway, counters, arguments.gzip)


async def _serve(arguments: argparse.Namespace) -> None:
    listener = socket.create_server((arguments.host, arguments.port), backlog=1024)
    config = uvicorn.Config(
        build(arguments),
        http="h11",
        lifespan="off",
        interface="asgi3",
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    await _Announcing(config).serve(sockets=[listener])


class _Announcing(uvicorn.Server):
    """Prints where it listens as soon as it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            print(json.dumps({"url": f"http://{host}:{port}/score", "port": port}), flush=True)


if __name__ == "__main__":
    main()
