"""Callers that submit and read without a pause, and make each request once, on a connection of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import httpx

from maskrelay.contract.records.job import TERMINAL
from tests.support.builders.pictures import gradient, saved
from tests.support.drivers.stack_behind_proxies import (
    PROMPT,
    TENANTS,
    Scene,
    Sent,
    key_of,
    pictures,
)
from tests.support.servers.simulators import eventually

_PAGES = saved(gradient(), "TIFF", save_all=True, append_images=[gradient().rotate(180)])


class Callers:
    """Running callers.

    `troubles` lists every answer that is not a success, and every request without an answer. `turns` counts the jobs
    that each caller has submitted, waited for and read.
    """

    def __init__(self, at: Scene, many: int) -> None:
        self.troubles: list[str] = []
        self.turns = [0] * many
        self._at = at
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(many)]

    def watch(self, job: Sent) -> None:
        """Start one more caller that waits for the end of this job, with requests that last as long as possible."""
        self._threads.append(threading.Thread(target=self._watch, args=(job,)))
        self._threads[-1].start()

    def await_turn(self) -> None:
        """Wait until each caller has begun a job after this call and has read it, or until one has a problem."""
        had = list(self.turns)
        assert eventually(
            lambda: bool(self.troubles) or all(now >= then + 2 for now, then in zip(self.turns, had, strict=True)),
            within_s=120,
        ), "the callers wait"
        assert self.troubles == []

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Return when each caller has read its last job."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _http(self, tenant: str) -> httpx.Client:
        headers = {"connection": "close", "authorization": f"Bearer {key_of(tenant)}"}
        return httpx.Client(base_url=self._at.url, headers=headers, timeout=90, trust_env=False)

    def _watch(self, job: Sent) -> None:
        with self._http(job.tenant) as http:
            self._ended(http, job.id)

    def _call(self, number: int) -> None:
        tenant = TENANTS[number % len(TENANTS)]
        with self._http(tenant) as http:
            for turn in count():
                if self._stop.is_set() or not self._turn(http, tenant, 100_000 * (number + 1) + 10 * turn):
                    return
                self.turns[number] += 1

    def _turn(self, http: httpx.Client, tenant: str, first: int) -> bool:
        """Submit a job, wait and read it.

        Every other job is a stack of pages to be assembled. Return whether all succeeded.
        """
        files = [path.read_bytes() for path in pictures(self._at.folder / "in", 3, first=first)]
        files = [_PAGES] if first % 20 else files
        asked = f'{{"outputs": ["mask", "contact-sheet"], "callback": {{"url": "{self._at.told.url()}"}}}}'
        parts = [("image", (f"{place}.image", body)) for place, body in enumerate(files)]
        told = self._ask(http, "POST", "/v1/jobs", files=parts, data={"prompt": PROMPT, "options": asked})
        if told is None:
            return False
        plain = len(files) > 1
        self._at.sent.append(Sent(told["id"], tenant, (1,) * 3 if plain else (2,), plain=plain))
        return self._ended(http, told["id"]) and self._ask(http, "GET", f"/v1/jobs/{told['id']}/items") is not None

    def _ended(self, http: httpx.Client, job: str) -> bool:
        """Wait for the end of the job. Return whether it was reported."""
        told = {"state": "accepted"}
        while told is not None and told["state"] not in TERMINAL:
            told = self._ask(http, "GET", f"/v1/jobs/{job}", headers={"prefer": "wait=60"})
        return told is not None

    def _ask(self, http: httpx.Client, method: str, path: str, **more: Any) -> Any:
        """Return the JSON of the answer, or None if it is not a success."""
        try:
            answer = http.request(method, path, **more)
        except httpx.HTTPError as error:
            self.troubles.append(f"{method}: {type(error).__name__}")
            return None
        if not answer.is_success:
            self.troubles.append(f"{method}: {answer.status_code}")
            return None
        return answer.json()


@contextmanager
def calling(at: Scene, many: int) -> Iterator[Callers]:
    """Run this many callers until the block ends, with the tenants in turn. At the end, each reads its last job."""
    callers = Callers(at, many)
    callers.begin()
    try:
        yield callers
    finally:
        callers.end()
