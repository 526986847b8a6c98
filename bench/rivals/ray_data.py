"""Ray Data: a manifest with an id column, `HttpRequestProcessorConfig` with retries, and job-level checkpoints.

The images are read in `preprocess`, after the filter of the checkpoints, so that rows with a result are not read again.
"""

from typing import Any

import aiohttp
import ray
from ray.data.checkpoint import CheckpointConfig
from ray.data.llm import HttpRequestProcessorConfig, build_processor

from bench.rivals.pipeline import Setup, area_of, request_of


def main(setup: Setup) -> None:
    ray.init(num_cpus=8, include_dashboard=False)
    context = ray.data.DataContext.get_current()
    context.use_datasource_v2 = False  # it makes one block of many small files, and a block is the unit of a checkpoint
    context.checkpoint_config = CheckpointConfig(
        id_column="id", checkpoint_path=setup.checkpoints, delete_checkpoint_on_success=False
    )

    def read(row: dict[str, Any]) -> dict[str, Any]:
        return {"id": row["id"], "payload": request_of(setup.read(row["url"]), setup.prompt)}

    def kept(row: dict[str, Any]) -> dict[str, Any]:
        return {"id": row["id"], "area": area_of(row["http_response"])}

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=setup.timeout_s))

    config = HttpRequestProcessorConfig(
        url=setup.endpoint,
        headers=setup.headers,
        concurrency=1,
        batch_size=setup.in_flight,
        max_retries=setup.retries,
        base_retry_wait_time_in_s=0.5,
        session_factory=session,
    )
    rows = ray.data.read_parquet(setup.files(), override_num_blocks=len(setup.files()))
    build_processor(config, preprocess=read, postprocess=kept)(rows).write_parquet(setup.out)


if __name__ == "__main__":
    main(Setup.of_command_line())
