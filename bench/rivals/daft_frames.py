"""Daft on its Ray runner: a manifest with a key column, an async UDF with retries, and an idempotent Delta commit.

The images are read in the UDF, after the filter of the checkpoints, so that rows with a result are not read again.
"""

import asyncio
from typing import Any

import aiohttp
import daft
import ray

from bench.rivals.pipeline import Setup, area_of, request_of


def main(setup: Setup) -> None:
    ray.init(num_cpus=8, include_dashboard=False)
    daft.set_runner_ray()

    def prepared(url: str) -> dict[str, Any]:
        return request_of(setup.read(url), setup.prompt)

    @daft.func(max_concurrency=setup.in_flight, max_retries=setup.retries, return_dtype=daft.DataType.int64())
    async def area(url: str) -> int:
        timeout = aiohttp.ClientTimeout(total=setup.timeout_s)
        body = await asyncio.to_thread(prepared, url)  # the event loop has many requests in flight meanwhile
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=setup.headers) as session,
            session.post(setup.endpoint, json=body) as response,
        ):
            response.raise_for_status()
            return area_of(await response.json())

    store = daft.CheckpointStore(f"file://{setup.checkpoints}")
    frame = daft.read_parquet(setup.files(), checkpoint=daft.CheckpointConfig(store, on="id"))
    frame = frame.select("id", area(frame["url"]).alias("area"))
    frame.write_deltalake(setup.out, checkpoint=daft.IdempotentCommit(store, idempotence_key="bench"))


if __name__ == "__main__":
    main(Setup.of_command_line())
