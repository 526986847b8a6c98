"""A series that is read from an archive by DICOMweb, and whose segmentation is stored there: with a real Orthanc."""

import io
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pydicom

from tests.support.builders.certificates import Authority
from tests.support.builders.credentials import write_credentials
from tests.support.builders.phantoms import ball, oblique, series, voxels
from tests.support.checks.faults_check import LONG
from tests.support.proxies.tls_proxies import tls_before
from tests.support.servers.orthancs import running_orthanc
from tests.support.servers.simulators import eventually
from tests.support.servers.stacks import running_stack

RASTER = oblique((24, 20, 4), (1.0, 1.0, 3.0))
PASSWORD = "a-password-of-the-archive"
TENANT = "local"


def entry(name: str, right: str, root: str, password: str = PASSWORD) -> dict[str, Any]:
    secret = httpx.BasicAuth("maskrelay", password)._auth_header
    return {"name": name, "kind": "dicomweb", "secret": secret, "allow": ["127.0.0.1"], right: {TENANT: [root]}}


def segmentations(orthanc: httpx.Client) -> list[str]:
    """The ids of the segmentations in the archive."""
    found = orthanc.post("tools/find", json={"Level": "Instance", "Query": {"Modality": "SEG"}})
    return list(found.json())


def test_a_series_is_read_from_an_archive_and_its_segmentation_is_stored_there_once(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with (
        running_orthanc(tmp_path, PASSWORD) as url,
        tls_before(urlsplit(url).port or 0, *authority.issue("pacs", "127.0.0.1")) as port,
        httpx.Client(auth=("maskrelay", PASSWORD), base_url=url.removesuffix("dicom-web")) as orthanc,
    ):
        files = series(RASTER, voxels(RASTER, ball((0, 0, 0), 6)), np.arange(4))
        for file in files:
            assert orthanc.post("instances", content=file).status_code == 200
        root = f"dicomweb+https://127.0.0.1:{port}/dicom-web/"
        slices = [pydicom.dcmread(io.BytesIO(file)) for file in files]
        reads = entry("pacs", "reads", root)
        wrong, writes = entry("results", "writes", root, "an old password"), entry("results", "writes", root)
        credentials = write_credentials(tmp_path / "credentials.json", reads, wrong)
        given = {"credentials_file": str(credentials), "ca_file": str(authority.file)}
        with (
            running_stack(tmp_path / "data", **given) as stack,
            stack.client() as client,
            httpx.Client(base_url=stack.url, headers={"authorization": f"Bearer {stack.api_key}"}) as http,
        ):

            def submitted(**options: Any) -> httpx.Response:
                source = f"{root}studies/{slices[0].StudyInstanceUID}/series/{slices[0].SeriesInstanceUID}"
                body = {"items": [{"source": source}], "prompts": ["liver"], "options": {"outputs": ["seg"], **options}}
                return http.post("/v1/jobs", json=body)

            refused = submitted(store_to="pacs")  # which may be read only
            assert (refused.status_code, refused.json()["code"]) == (422, "credential_unknown")
            assert refused.json()["errors"][0]["pointer"] == "#/options/store_to"
            job = submitted(store_to="results").json()["id"]
            assert client.wait(job, LONG).state == "succeeded"
            assert eventually(lambda: client.deliveries(job)[0].reason == "status_401", within_s=60)
            write_credentials(credentials, reads, writes)
            assert eventually(lambda: client.deliveries(job)[0].state == "delivered", within_s=60)
            (delivery,) = client.deliveries(job)
            assert (delivery.type, delivery.reason, delivery.status) == ("dicom.stored", "ok", 200)
            stored = segmentations(orthanc)
            assert len(stored) == 1
            seg = pydicom.dcmread(io.BytesIO(orthanc.get(f"instances/{stored[0]}/file").content))
            assert seg.StudyInstanceUID == slices[0].StudyInstanceUID
            assert {
                one.ReferencedSOPInstanceUID for one in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
            } <= {one.SOPInstanceUID for one in slices}
            client.replay(job, delivery.event)
            assert eventually(lambda: client.deliveries(job)[0].state == "delivered", within_s=60)
            assert segmentations(orthanc) == stored
