"""Example of the cleanup: what a deleted job and an unused upload left is removed from storage."""

from datetime import UTC, datetime, timedelta

import httpx

from maskrelay.contract.records import keys
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.driven_jobs import driven
from tests.support.servers.apis import RunningApi
from worker.cleanup.deleted_jobs import remove_gone
from worker.cleanup.unused_uploads import expire_uploads
from worker.context import WorkerContext


def test_a_deleted_job_leaves_only_its_tombstone(api: RunningApi, client: httpx.Client, context: WorkerContext) -> None:
    job = accepted(client, b"picture")
    driven(api, job)
    with api.client("admin") as admin:
        assert admin.delete(f"/v1/jobs/{job}").status_code == 204

    now = datetime.now(UTC)
    remove_gone(context, now)
    remove_gone(context, now + timedelta(hours=1))  # again, for what a slow worker wrote after the first pass

    assert list(context.storage.list(keys.objects(job))) == [keys.gone(job)]
    assert client.get(f"/v1/jobs/{job}").status_code == 410


def test_an_upload_that_no_job_uses_expires(client: httpx.Client, context: WorkerContext) -> None:
    [upload] = client.post("/v1/uploads", content=b"picture").json()["uploads"]

    assert expire_uploads(context, datetime.now(UTC) + timedelta(hours=25)) == 1

    assert keys.upload("north", upload["id"]) not in context.storage.list("uploads/")
