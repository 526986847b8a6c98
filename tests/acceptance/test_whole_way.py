"""A real photograph the whole way: submitted over HTTP, segmented, stored on S3, its callback verified."""

import io
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage import data
from standardwebhooks.webhooks import Webhook

from maskrelay.admin.audit_chains import verify
from maskrelay.contract.records.events import event_id
from maskrelay.storage.factory import open_storage
from tests.support.builders.pictures import saved
from tests.support.checks.audits import done
from tests.support.checks.faults_check import LONG
from tests.support.servers.azurite import running_azurite, without_azure
from tests.support.servers.receivers import receiver, status
from tests.support.servers.s3_servers import running_s3
from tests.support.servers.simulators import eventually
from tests.support.servers.stacks import running_stack
from tests.support.servers.valkeys import RunningValkey, running_valkey

OUTLINE = json.loads((Path(__file__).parent.parent / "data" / "retina_optic_disc.json").read_text())
SECURITY = Path(__file__).parent.parent.parent / "docs" / "howto" / "security.md"
DISC = "optic disc in retinal fundus"


def least_user(valkey: RunningValkey) -> str:
    """A user with the rights that the page of security asks for; its URL."""
    (rights,) = re.findall(r"^ACL SETUSER maskrelay (.*)$", SECURITY.read_text(), re.MULTILINE)
    valkey.client.execute_command("ACL", "SETUSER", "maskrelay", *rights.split())
    return f"redis://maskrelay:PASSWORD@127.0.0.1:{valkey.port}/0"


def test_a_photograph_on_s3_with_a_verified_callback(tmp_path):
    retina = data.retina()
    (tmp_path / "retina.png").write_bytes(saved(Image.fromarray(retina), "PNG"))
    with running_s3() as s3, receiver(status(204)) as told, running_valkey() as valkey:
        user = least_user(valkey)
        with (
            running_stack(
                tmp_path / "data",
                graceful=True,
                storage_url=s3.storage_url,
                s3_endpoint_url=s3.endpoint_url,
                redis_url=user,
            ) as stack,
            stack.client() as client,
        ):
            job = client.submit([tmp_path / "retina.png"], [DISC], callback=told.url())
            assert job.callback is not None
            assert job.callback.secret is not None
            ended = client.wait(job.id, LONG)
            assert ended.state == "succeeded"
            files = client.save(job.id, tmp_path / "out")
            assert eventually(lambda: len(told.received) == 1, within_s=30)
        storage = open_storage(s3.storage_url, s3.endpoint_url)
        denied = valkey.client.acl_log()
        audited = verify(storage, "2000-01-01T00"), done(storage, "sent"), done(storage, "POST /v1/jobs")
    (got,) = told.received
    Webhook(job.callback.secret).verify(got.body, got.headers)
    assert got.headers["webhook-id"] == event_id(job.id, "job.succeeded")
    assert denied == []
    whole, (sent,), (submitted,) = audited
    assert (whole.processes, whole.unclosed) == (2, [])
    assert (sent["job"], sent["frames"], sent["endpoint"], submitted["job"]) == (job.id, [0], "default", job.id)
    assert json.loads(got.body)["data"]["id"] == job.id
    (mask_file,) = [path for path in (tmp_path / "out").iterdir() if path.name.endswith(".mask.png")]
    mask = np.asarray(Image.open(io.BytesIO(mask_file.read_bytes())))
    assert files
    assert mask.shape == retina.shape[:2]
    assert set(np.unique(mask)) == {0, 255}
    drawn = Image.new("1", (OUTLINE["width"], OUTLINE["height"]))
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in OUTLINE["polygon"]], fill=1)
    outline = np.asarray(drawn)
    assert np.logical_and(mask > 0, outline).sum() / np.logical_or(mask > 0, outline).sum() >= 0.5


def test_a_photograph_whose_results_are_in_azure(tmp_path):
    """The connection string is a secret in a file, and a caller is sent to the container for a file."""
    (tmp_path / "retina.png").write_bytes(saved(Image.fromarray(data.retina()), "PNG"))
    with running_azurite() as azurite:
        secret = tmp_path / "connection"
        secret.write_text(azurite.connection_string)
        settings = {"storage_url": azurite.storage_url, "presigned_lifetime_s": "60"}
        with (
            without_azure(),
            running_stack(tmp_path / "data", azure_connection_string_file=str(secret), **settings) as stack,
            stack.client() as client,
        ):
            job = client.submit([tmp_path / "retina.png"], [DISC], options={"outputs": ["mask", "overlay"]})
            ended = client.wait(job.id, LONG)
            assert ended.state == "succeeded"
            files = client.save(job.id, tmp_path / "out")
        stored = list(open_storage(azurite.storage_url, None, azurite.connection_string).list(f"jobs/{job.id}/"))
    assert len(files) >= 2
    assert f"jobs/{job.id}/result.json" in stored
