"""`python -m bench.limit_live`: measure the service's rule for the limit on requests in flight with a real Valkey."""

import asyncio
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import redis

from bench.figures import print_head, print_table
from bench.limit import error, settled
from bench.limit_model import Run, Scene
from maskrelay.contract.wire.image2d import Row, encode_request
from maskrelay.endpoints import Endpoint
from maskrelay.errors import EndpointError
from maskrelay.imaging.canvas.canary import canary
from maskrelay.ledger.flow_control import Flow
from maskrelay.rules.endpoint_gate import GOOD, Report, report_of
from maskrelay.scoring.statuses import classify
from tests.support.servers.simulators import RunningSimulator, running_simulator
from tests.support.servers.valkeys import running_valkey

SECONDS = 60.0
CLIENTS = 40
SCENES = (
    Scene("×4 too low, 4 slots of 0.25 s", ((0, 4),), 2, 64, 0.25, SECONDS),
    Scene("×4 too high, 4 slots of 0.25 s", ((0, 4),), 32, 64, 0.25, SECONDS),
)


class Crowd:
    """Clients in one process that score the same image repeatedly. The flow control admits each score."""

    def __init__(self, flow: Flow, simulator: RunningSimulator) -> None:
        self.run = Run()
        self._flow, self._simulator = flow, simulator
        self._child = secrets.token_hex(4)
        self._called: dict[str, asyncio.Event] = {}
        self._granted: set[str] = set()
        self._row: Row = canary()
        self._body = encode_request([self._row])
        self._began = time.monotonic()

    async def work(self) -> None:
        """Run all clients for a minute, and record the limit ten times a second."""
        headers = {"authorization": f"Bearer {self._simulator.key}", "content-type": "application/json"}
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(8))
        async with httpx.AsyncClient(headers=headers, timeout=60, limits=httpx.Limits(max_connections=None)) as client:
            clients = [self._client(client, str(number)) for number in range(CLIENTS)]
            await asyncio.gather(*clients, self._watch(), self._listen())

    def _past(self) -> float:
        return time.monotonic() - self._began

    async def _watch(self) -> None:
        while self._past() < SECONDS:
            shown = await asyncio.to_thread(self._flow.document)
            self.run.limit += [shown[0]["limit"]] * (int(self._past() * 10) - len(self.run.limit))
            await asyncio.sleep(0.1)

    async def _listen(self) -> None:
        while self._past() < SECONDS:
            call = await asyncio.to_thread(self._flow.await_call, self._child, timedelta(seconds=1))
            if call:
                if call.endpoint:
                    self._granted.add(call.waiter)
                self._called[call.waiter].set()

    async def _client(self, client: httpx.AsyncClient, name: str) -> None:
        called = self._called[name] = asyncio.Event()
        slot = secrets.token_hex(8)
        while self._past() < SECONDS:
            called.clear()
            self._granted.discard(name)
            asked = {"among": ["default"], "bytes_up": len(self._body), "prompts": 1, "child": self._child}
            admission = await asyncio.to_thread(self._flow.admit, "bulk", name, slot, **asked)
            if not admission.granted:
                await asyncio.wait([asyncio.create_task(called.wait())], timeout=admission.wait.total_seconds())
            if admission.granted or name in self._granted:
                await self._score(client, slot)
                slot = secrets.token_hex(8)

    async def _score(self, client: httpx.AsyncClient, slot: str) -> None:
        self.run.sent.append(self._past())
        answer = await client.post(self._simulator.url, content=self._body)
        if answer.status_code == 429:
            self.run.refused.append(self._past())
        problem: EndpointError | None = classify(answer.status_code, answer.headers, answer.content[:4096])
        report: Report = GOOD if answer.status_code == 200 or problem is None else report_of(problem)
        await asyncio.to_thread(self._flow.report, "default", slot, report, "frame", 0.5)


def play(scene: Scene) -> list[str]:
    switches = {"service_time": scene.service, "max_concurrent": scene.slots[0][1], "canned": True}
    with running_valkey() as valkey, running_simulator(**switches) as simulator:
        fields = {"url": simulator.url, "key": "key", "max_bytes_per_s": 1e9}
        endpoint = Endpoint.model_validate({**fields, "concurrency": scene.start, "max_in_flight": scene.most})
        flow = valkey.ledger().flow([endpoint], slot_lease=timedelta(minutes=2))
        flow.fresh("default")
        crowd = Crowd(flow, simulator)
        asyncio.run(crowd.work())
        return [scene.name, *_found(crowd.run, scene), *_spent(valkey.client, len(crowd.run.sent))]


def _found(run: Run, scene: Scene) -> list[str]:
    late = sum(at > SECONDS / 2 for at in run.refused) * 120 / SECONDS
    share = len(run.refused) / len(run.sent)
    return [f"{settled(run, scene):.1f} s", f"{error(run, scene):.1%}", f"{share:.2%}", f"{late:.0f}"]


def _spent(client: "redis.Redis", scores: int) -> list[str]:
    """Return the number of scripts per score, and Valkey's CPU milliseconds per score."""
    calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    cpu = client.info("cpu")
    return [f"{calls / scores:.1f}", f"{1000 * (cpu['used_cpu_user'] + cpu['used_cpu_sys']) / scores:.2f}"]


def main() -> None:
    print_head(f"The limit on requests in flight with the simulator's process, {CLIENTS} clients, {SECONDS:.0f} s", 1)
    found = ["declared", "within 10 % after", "steady error", "refused", "refused/min, late"]
    head = [*found, "scripts a score", "Valkey's CPU ms a score"]
    print_table(head, [play(scene) for scene in SCENES])


if __name__ == "__main__":
    main()
