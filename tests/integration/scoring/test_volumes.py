"""A volume to a server and its label map back, through the client: a scripted answer, and the simulator's own."""

import gzip

import nibabel
import numpy as np
import pytest

from maskrelay.contract.wire.image2d import Row
from maskrelay.endpoints import Endpoint
from maskrelay.errors import AnswerInvalid, SettingsError
from maskrelay.scoring.credentials import credential_of
from maskrelay.scoring.endpoint_client import EndpointClient
from maskrelay.scoring.wire_formats import IMAGE2D, VOLUME3D
from tests.integration.scoring.scoring_cases import score, sends
from tests.support.servers.scripted_server import http, serving
from tests.support.servers.simulators import running_simulator
from tests.unit.contract.wire.test_volume3d import (
    LABELS,
    ROWS,
    body,
    nifti,
)


def test_a_volume_goes_out_and_its_label_map_comes_back():
    with serving(sends(http(200, body(nifti(LABELS)), content_type="application/json"))) as server:
        scored = score(server.url, ROWS, wire=VOLUME3D)
    [answer] = scored.answers
    assert answer.labels == LABELS.tobytes(order="F")
    assert server.seen[0].body == VOLUME3D.encode(ROWS)
    assert scored.bytes_up == len(VOLUME3D.encode(ROWS))


def test_a_label_map_that_breaks_the_contract_is_kept():
    answer = body(nifti(LABELS[:4]))
    with serving(sends(http(200, answer))) as server:
        error = score(server.url, ROWS, wire=VOLUME3D)
    assert isinstance(error, AnswerInvalid)
    assert (error.kind, error.raw) == ("shape", answer)


def test_the_simulators_label_map_fits_the_volume():
    affine = np.diag([0.8, 0.8, 2.5, 1.0])
    x, y, z = np.indices((40, 36, 12))
    voxels = np.where((x - 20) ** 2 + (y - 18) ** 2 + 4 * (z - 6) ** 2 < 80, 200, 10).astype(np.int16)
    rows = [Row(gzip.compress(nibabel.Nifti1Image(voxels, affine).to_bytes()), ("spleen", "left kidney"))]
    with running_simulator(wire="volume3d", key="s3cr3t-k3y-of-the-endpoint", service_time=0) as simulator:
        scored = score(simulator.url, rows, wire=VOLUME3D)
    [answer] = scored.answers
    assert answer.shape == (40, 36, 12)
    assert set(answer.labels) == {0, 1, 2}


@pytest.mark.parametrize(("set_to", "wanted"), [("volume3d", IMAGE2D), ("image2d", VOLUME3D)])
def test_a_client_of_another_wire_format_than_the_endpoints_is_refused(set_to, wanted):
    endpoint = Endpoint(url="http://localhost/score", key="k", wire=set_to)
    refusal = f"endpoint default uses the wire format {set_to}, but {wanted.name} is required"
    with pytest.raises(SettingsError, match=refusal):
        EndpointClient(endpoint, credential_of(endpoint), wanted, timeout=None, max_connections=1)
