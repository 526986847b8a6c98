"""Example of the assemble stage: the masks of all frames of a volume become one file of labels."""

import asyncio
import time
from pathlib import Path

import httpx
import nibabel
import numpy as np

from maskrelay.contract.records import keys
from tests.support.builders.volumes import written
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.segmenting import segment_waiting_frames, with_endpoint
from tests.support.servers.simulators import RunningSimulator
from worker.assemble.assemble_step import assemble_items
from worker.context import WorkerContext
from worker.finish.finish_step import finish_jobs
from worker.plan.plan_step import plan_jobs


def test_a_volume_gets_its_labels(
    client: httpx.Client, context: WorkerContext, endpoint: RunningSimulator, tmp_path: Path
) -> None:
    volume = written(tmp_path, np.arange(40 * 50 * 3, dtype=np.int16).reshape(40, 50, 3)).read_bytes()
    job = accepted(client, volume, prompts=["liver"], options={"outputs": ["nifti"]})
    plan_jobs(context, until=time.monotonic() + 60)
    asyncio.run(segment_waiting_frames(with_endpoint(context, endpoint)))
    finish_jobs(context, until=time.monotonic() + 60)  # finds that the file is missing, and has it made first

    assemble_items(context, until=time.monotonic() + 60)

    [key] = [key for key in context.storage.list(keys.artifacts(job)) if key.endswith("labels.nii.gz")]
    (tmp_path / "labels.nii.gz").write_bytes(context.storage.get(key))
    assert nibabel.load(tmp_path / "labels.nii.gz").shape == (40, 50, 3)
