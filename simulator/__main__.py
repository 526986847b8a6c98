"""`python -m simulator`: start the endpoint. One JSON line on stdout gives its address once it answers."""

import argparse
import asyncio
import contextlib
import json
import signal
import socket
from pathlib import Path
from random import Random
from typing import Any

from simulator.app import Simulator
from simulator.canned import Canned
from simulator.container import Container
from simulator.counters import Counters
from simulator.credentials import MODES, Credentials
from simulator.gateway import Gateway
from simulator.model import Model, Threaded, score
from simulator.pipe import Pipe
from simulator.scoring_script import ScoringScript
from simulator.server import Connection
from simulator.slots import Slots
from simulator.volume import score_volume


def main() -> None:
    """Serve until interrupted or terminated."""
    asyncio.run(_serve(arguments_of(None)))


def arguments_of(line: list[str] | None) -> argparse.Namespace:
    """Parse the command line (`None`: this process's own); invalid arguments exit with a usage message."""
    parser = _parser()
    arguments = parser.parse_args(line)
    needed = {"key": "key", "aml_token": "control_plane_token", "entra": "entra_token"}[arguments.auth]
    if getattr(arguments, needed) is None and not arguments.no_gateway:
        parser.error(f"--{needed.replace('_', '-')} is needed, or --no-gateway")
    if (arguments.canned or arguments.lean) and arguments.wire != "image2d":
        parser.error("--canned and --lean answer for image2d alone")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0 picks a free one (default)")
    add("--auth", choices=MODES, default="key", help="what the bearer token is (default: key)")
    add("--key", help="the key the gateway accepts")
    add("--entra-token", metavar="T", help="the Entra token the gateway accepts")
    add("--control-plane-token", metavar="T", help="who shows it gets tokens at POST …/token (--auth aml_token)")
    add("--token-life", type=float, default=3600.0, metavar="S", help="seconds a token of the control plane is good")
    add("--service-time", type=float, default=0.0, metavar="S", help="least seconds for one row")
    add("--max-concurrent", type=int, default=1, metavar="C", help="requests an instance works on at once")
    add("--instances", type=int, default=1, metavar="I")
    add("--request-timeout", type=float, default=90.0, metavar="S", help="after which the gateway answers 408")
    add("--requests-per-s", type=float, default=500.0, metavar="R", help="over which the gateway answers 429")
    add("--bandwidth", type=float, metavar="B", help="bytes a second, both ways together, over which it delays")
    add("--scoring-timeout", type=float, default=3600.0, metavar="S", help="the container's own, answered with 500")
    add("--deployment", default="simulator", help="the one name azureml-model-deployment may carry")
    add("--gzip", action="store_true", help="compress answers for clients that accept it")
    add("--no-gateway", action="store_true", help="the bare container")
    add("--wire", choices=("image2d", "volume3d"), default="image2d", help="MedImageParse, or MedImageParse 3D")
    add("--canned", action="store_true", help="answers made ready at start, whatever the picture")
    add("--lean", type=Path, metavar="SCRIPT", help="play the lean deployment with this scoring script of it")
    add("--prompts-most", type=int, default=3, metavar="N", help="prompts up to which --canned has whole bodies ready")
    add("--script", type=Path, metavar="FILE", help="what to change over time, from the start on")
    add("--speed", type=float, default=1.0, metavar="X", help="how many times faster the script runs")
    add("--seed", type=int, default=0, help="of the faults that strike a share of requests")
    return parser


def build(arguments: argparse.Namespace) -> Simulator:
    """Return the endpoint that these arguments describe."""
    counters = Counters()
    slots = Slots(arguments.max_concurrent, arguments.instances, counters.capacity)
    container = Container(
        _model(arguments),
        slots,
        arguments.service_time,
        arguments.scoring_timeout,
        counters,
        script=ScoringScript(arguments.lean) if arguments.lean else None,
    )
    gateway = None if arguments.no_gateway else _gateway(arguments, container, counters)
    return Simulator(container, gateway, Pipe(arguments.bandwidth, counters), counters, arguments.gzip)


def _model(arguments: argparse.Namespace) -> Model:
    if arguments.canned:
        return Canned(arguments.prompts_most)
    return Threaded(score_volume if arguments.wire == "volume3d" else score)


def _gateway(arguments: argparse.Namespace, container: Container, counters: Counters) -> Gateway:
    fixed = {"key": arguments.key, "entra": arguments.entra_token}.get(arguments.auth)
    return Gateway(
        container,
        counters,
        Credentials(arguments.auth, fixed, arguments.control_plane_token, arguments.token_life),
        arguments.deployment,
        arguments.request_timeout,
        arguments.requests_per_s,
        Random(arguments.seed),
    )


async def _serve(arguments: argparse.Namespace) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    simulator = build(arguments)
    if arguments.script is not None:
        script: Any = json.loads(arguments.script.read_bytes())
        simulator.control.turn({"script": script, "speed": arguments.speed})
    listener = socket.create_server((arguments.host, arguments.port), backlog=1024)
    server = await loop.create_server(lambda: Connection(simulator), sock=listener)
    host, port = listener.getsockname()[:2]
    print(json.dumps({"url": f"http://{host}:{port}/score", "port": port}), flush=True)
    with contextlib.closing(server):
        await ended.wait()


if __name__ == "__main__":
    main()
