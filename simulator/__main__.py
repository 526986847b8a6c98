"""`python -m simulator`: start the endpoint. When it can be reached, one line of JSON on stdout gives its address."""

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


def main() -> None:
    """Serve until the process is interrupted or terminated."""
    asyncio.run(_serve(arguments_of(None)))


def arguments_of(line: list[str] | None) -> argparse.Namespace:
    """Parse the arguments in `line`, or those of this process if `line` is None.

    Invalid arguments end the process with a message.
    """
    parser = _parser()
    arguments = parser.parse_args(line)
    needed = {"key": "key", "aml_token": "control_plane_token", "entra": "entra_token"}[arguments.auth]
    if getattr(arguments, needed) is None and not arguments.no_gateway:
        parser.error(f"--{needed.replace('_', '-')} is required, unless --no-gateway is given")
    if (arguments.canned or arguments.lean) and arguments.wire != "image2d":
        parser.error("--canned and --lean answer only for image2d")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0 chooses a free port (default)")
    add("--auth", choices=MODES, default="key", help="what the bearer token is (default: key)")
    add("--key", help="the key that the gateway accepts")
    add("--entra-token", metavar="T", help="the Entra token that the gateway accepts")
    add("--control-plane-token", metavar="T", help="the token that authorizes POST …/token (--auth aml_token)")
    add(
        "--token-life",
        type=float,
        default=3600.0,
        metavar="S",
        help="seconds for which a token of the control plane is valid",
    )
    add("--service-time", type=float, default=0.0, metavar="S", help="shortest time for one row in seconds")
    add(
        "--max-concurrent", type=int, default=1, metavar="C", help="requests that an instance works on at the same time"
    )
    add("--instances", type=int, default=1, metavar="I")
    add("--request-timeout", type=float, default=90.0, metavar="S", help="seconds after which the gateway answers 408")
    add("--requests-per-s", type=float, default=500.0, metavar="R", help="rate above which the gateway answers 429")
    add(
        "--bandwidth",
        type=float,
        metavar="B",
        help="bytes per second in both directions together, above which traffic is delayed",
    )
    add(
        "--scoring-timeout",
        type=float,
        default=3600.0,
        metavar="S",
        help="the container's own timeout, answered with 500",
    )
    add("--deployment", default="simulator", help="the only name that the header azureml-model-deployment may have")
    add("--gzip", action="store_true", help="compress answers for clients that accept it")
    add("--no-gateway", action="store_true", help="only the container, without the gateway")
    add("--wire", choices=("image2d", "volume3d"), default="image2d", help="MedImageParse, or MedImageParse 3D")
    add("--canned", action="store_true", help="fixed answers computed at the start, independent of the image")
    add("--lean", type=Path, metavar="SCRIPT", help="act as the lean deployment with this scoring script")
    add(
        "--prompts-most",
        type=int,
        default=3,
        metavar="N",
        help="number of prompts up to which --canned prepares whole bodies",
    )
    add("--script", type=Path, metavar="FILE", help="a file of settings to change over time, from the start on")
    add("--speed", type=float, default=1.0, metavar="X", help="factor by which the script runs faster")
    add("--seed", type=int, default=0, help="seed of the faults that affect a share of the requests")
    return parser


def build(arguments: argparse.Namespace) -> Simulator:
    """Create the simulated endpoint that the arguments describe."""
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
        return Canned.of_photograph(arguments.prompts_most)
    if arguments.wire == "volume3d":
        from simulator.volume import score_volume  # noqa: PLC0415 - it needs nibabel, which imports pydicom

        return Threaded(score_volume)
    return Threaded(score)


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
