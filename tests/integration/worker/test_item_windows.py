"""The window of an item whose pixels could not be read at once, because a decoder ended the process."""

import httpx
import numpy as np
import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.source_frames import Window
from maskrelay.storage.stored_records import read_record
from tests.support.builders.phantoms import ball, oblique, series, voxels
from tests.support.builders.zips import a_zip
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.driven_jobs import frames_of, planned
from tests.support.servers.apis import RunningApi
from worker.plan.guarded_opening import DEATHS

RASTER = oblique((24, 20, 4), (1.0, 1.0, 3.0))


def windows(api: RunningApi, client: httpx.Client, *crashing: str) -> set[Window | None]:
    """Plan a series of four slices after these openings have ended two processes. Return the windows of its frames."""
    slices = series(RASTER, voxels(RASTER, ball((0, 0, 0), 6)), np.arange(4), Modality="MR")
    job = accepted(client, a_zip(*((f"{number}.dcm", body) for number, body in enumerate(slices))))
    steps = api.ledger.step_leases
    lease = steps.take("plan")
    assert lease is not None
    for what in crashing:
        for _ in range(DEATHS):
            steps.opening(lease, what)
    steps.hand_back(lease)
    planned(api)
    frames = frames_of(api, job)
    assert len(frames) == 4
    assert {frame.reading.window for frame in frames} == {read_record(api.storage, keys.window(job, 0), Window)}
    return {frame.reading.window for frame in frames}


@pytest.mark.parametrize("crashing", [(), ("window 0",), ("window 0", "window 0 1")])
def test_all_frames_have_one_window_even_if_one_of_them_crashes_its_decoder(
    api: RunningApi, north: httpx.Client, crashing: tuple[str, ...]
) -> None:
    [window] = windows(api, north, *crashing)
    assert window is not None
    assert window.high > window.low
