"""Sources of many frames through the whole service: grouped, judged, named, paged, and made into files."""

import io
import json
from pathlib import Path
from typing import Any

import httpx
import nibabel
import numpy as np
import pydicom
import pydicom.data
from PIL import Image

from maskrelay.contract.views.job_views import ItemShown, JobShown
from tests.support.builders.codestreams import JPEG_2000, jpeg_2000
from tests.support.builders.dicoms import compressed, dicom_of
from tests.support.builders.phantoms import (
    ball,
    nifti,
    oblique,
    series,
    union,
    voxels,
)
from tests.support.builders.pictures import gradient, noise, saved
from tests.support.builders.zips import a_zip
from tests.support.servers.stacks import RunningStack

PROMPTS = ["phantom"]
RASTER = oblique((40, 36, 8), (1.0, 1.0, 3.0))
SLICES = voxels(RASTER, union(ball((0, 0, 0), 9), ball((12, 5, 4), 4)))


def ct(order: Any = range(8), **tags: Any) -> list[bytes]:
    return series(RASTER, SLICES, np.array(list(order)), **tags)


def run(
    stack: RunningStack, files: list[Any], prompts: list[str] = PROMPTS, **options: Any
) -> tuple[JobShown, list[ItemShown]]:
    with stack.client() as client:
        job = client.wait(client.submit(files, prompts, options=options).id)
        return job, list(client.items(job.id))


def get(stack: RunningStack, address: str) -> httpx.Response:
    answer = httpx.get(address, headers={"authorization": f"Bearer {stack.api_key}"}, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer


def test_a_zip_and_loose_files_of_one_series_are_one_item(stack: RunningStack) -> None:
    files = ct()
    zipped = a_zip(
        *((f"study/{number}.dcm", file) for number, file in enumerate(files[3:])), ("study/notes.txt", b"hi")
    )
    job, [item] = run(stack, [*files[:3], zipped])
    assert (job.state, job.counts.total, job.frames.succeeded) == ("succeeded", 1, 8)
    assert item.members == ["0", "1", "2", "3"]
    assert item.frames is not None
    assert [frame.frame for frame in item.frames] == list(range(8))
    assert item.links.seg is not None
    assert item.links.contact_sheet is not None
    assert item.intensity == "ct-abdomen"


def test_what_is_zipped_and_no_picture_fails_by_name_and_a_dicomdir_is_left_out(stack: RunningStack) -> None:
    folder = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"
    directory = (folder / "DICOMDIR").read_bytes()
    job, items = run(
        stack, [a_zip(("DICOMDIR", directory), ("a.png", saved(gradient(), "PNG")), ("b.zip", a_zip(("c", b"d"))))]
    )
    assert job.state == "partial"
    assert [(item.custom_id, item.state) for item in items] == [("0", "succeeded"), ("0/1", "failed")]
    assert items[1].error is not None
    assert items[1].error.code == "archive_nested"


def test_a_directory_alone_is_an_item_that_says_what_it_is(stack: RunningStack) -> None:
    folder = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"
    job, [item] = run(stack, [folder / "DICOMDIR"])
    assert job.state == "failed"
    assert item.error is not None
    assert item.error.code == "directory_file"


def test_a_series_with_a_gap_fails_goes_or_is_held_as_the_caller_wants(stack: RunningStack) -> None:
    files = ct([0, 1, 2, 3, 5, 6, 7])
    job, [failed] = run(stack, files)
    assert (job.state, failed.error and failed.error.code) == ("failed", "series_incomplete")
    assert failed.error is not None
    assert "partial_series=best_effort" in (failed.error.detail or "")
    job, [went] = run(stack, files, partial_series="best_effort", outputs=["nifti"])
    assert job.state == "succeeded"
    assert went.findings["gaps"] == [1]
    labels = nibabel.Nifti1Image.from_bytes(_ungzipped(get(stack, went.links.nifti or "").content))
    assert labels.shape == (40, 36, 8)
    assert not np.asarray(labels.dataobj)[:, :, 4].any()
    job, [held] = run(stack, files, partial_series="hold", outputs=["mask", "nifti"])
    assert (job.state, held.state, held.links.nifti) == ("partial", "partial", None)
    assert held.frames is not None
    assert all(frame.masks[0].links.mask for frame in held.frames)


def _ungzipped(body: bytes) -> bytes:
    import gzip

    return gzip.decompress(body)


def test_results_name_objects_by_uids_hashes_or_not_at_all(stack: RunningStack) -> None:
    files = ct()
    uids = {str(pydicom.dcmread(io.BytesIO(file)).SOPInstanceUID) for file in files}
    named = {}
    for how in ("uids", "hashed", "none"):
        _, [item] = run(stack, files, identifiers=how, outputs=["mask"])
        named[how] = {frame.instance for frame in item.frames or []}, item.identifiers
    assert named["uids"][0] == uids
    assert set(named["uids"][1] or {}) == {"study", "series", "frame_of_reference"}
    assert len(named["hashed"][0]) == 8
    assert not named["hashed"][0] & uids
    assert named["none"] == ({None}, None)


def test_pictures_that_may_show_text_are_refused_where_the_caller_says_so(stack: RunningStack) -> None:
    files = ct(BurnedInAnnotation="YES")
    job, [item] = run(stack, files, burned_in="refuse")
    assert (job.state, item.error and item.error.code) == ("failed", "burned_in_annotation")
    _, [item] = run(stack, files, outputs=["mask"])
    assert item.findings["burned_in"] is True


def test_nothing_of_a_patient_is_in_a_log_a_key_or_an_answer(stack: RunningStack) -> None:
    job, items = run(stack, ct(PatientName="Unmistakable^Name", PatientID="Unrepeatable-Number"))
    keys = "\n".join(path.as_posix() for path in (stack.data / "storage").rglob("*"))
    logs = "".join(stack.log(name) for name in ("api", "segment", "assemble", "control", "deliver"))
    shown = json.dumps([job.model_dump(mode="json"), *(item.model_dump(mode="json") for item in items)])
    for text in (keys, logs, shown):
        assert "Unmistakable" not in text
        assert "Unrepeatable" not in text


def test_the_pages_of_a_tiff_are_frames_with_a_sheet_and_outlines(stack: RunningStack) -> None:
    pages = [Image.fromarray(noise(50, 40, seed) // 2 + np.uint8(100 * (seed == 1))) for seed in range(3)]
    file = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    job, [item] = run(stack, [file], outputs=["mask", "geojson", "contact-sheet", "seg", "nifti"])
    assert job.state == "succeeded"
    assert item.findings == {"outputs_not_made": ["nifti", "seg"]}
    sheet = Image.open(io.BytesIO(get(stack, item.links.contact_sheet or "").content))
    assert sheet.width > 150
    outlines = get(stack, item.links.geojson or "").json()
    assert outlines["type"] == "FeatureCollection"
    assert {feature["properties"]["frame"] for feature in outlines["features"]} >= {1}


def test_a_volume_gives_labels_of_several_prompts_and_one_each(stack: RunningStack) -> None:
    prompts = ["phantom one", "phantom two"]
    job, [item] = run(
        stack, [nifti(RASTER, SLICES)], prompts, outputs=["nifti", "nifti-per-prompt"], intensity="ct-abdomen"
    )
    assert job.state == "succeeded"
    assert len(item.links.nifti_per_prompt or []) == 2
    assert item.frames is not None
    both = [frame for frame in item.frames if "overlaps" in frame.masks[0].flags]
    assert both
    assert job.flags["overlaps"] == 2 * len(both)
    labels = np.asarray(nibabel.Nifti1Image.from_bytes(_ungzipped(get(stack, item.links.nifti or "").content)).dataobj)
    each = np.asarray(
        nibabel.Nifti1Image.from_bytes(_ungzipped(get(stack, (item.links.nifti_per_prompt or [])[1]).content)).dataobj
    )
    assert set(np.unique(labels)) == {0, 1}  # both prompts find the same: the first has every pixel
    assert each.sum() == (labels > 0).sum() > 100


def test_flagged_items_are_listed_the_most_suspicious_first(stack: RunningStack) -> None:
    plain = saved(Image.fromarray(np.zeros((64, 64), np.uint8)), "PNG")
    shapes = [np.zeros((64, 64), np.uint8) for _ in range(2)]
    shapes[0][20:30, 20:30] = shapes[1][:10, :10] = 255
    job, _ = run(stack, [plain, *(saved(Image.fromarray(shape), "PNG") for shape in shapes)])
    assert job.flags["empty"] == 1
    empty = get(stack, f"{job.links.items}?flag=empty").json()
    assert [item["custom_id"] for item in empty["items"]] == ["0"]
    border = get(stack, f"{job.links.items}?flag=touches_border").json()
    assert [item["custom_id"] for item in border["items"]] == ["2"]
    assert get(stack, f"{job.links.items}?flag=full_frame").json()["items"] == []


def test_dicom_that_is_not_what_it_seems_is_said_or_refused(stack: RunningStack) -> None:
    samples = np.add.outer(np.arange(40), np.arange(48)).astype(np.uint16)
    placed = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]}
    slide = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.6", "Modality": "SM"}
    word = ["ORIGINAL", "PRIMARY"]
    files = [
        dicom_of(samples, SOPInstanceUID="1.1", RescaleSlope="0.01", RescaleIntercept=0, RescaleType="MGML", **placed),
        dicom_of(samples, SOPInstanceUID="1.2", Modality="MR", ImageType=[*word, "M", "MOSAIC"], **placed),
        dicom_of(samples, SOPInstanceUID="1.3", ImageType=[*word, "LABEL"], **slide),
        compressed(samples, [jpeg_2000(samples, 16)], JPEG_2000, SOPInstanceUID="1.4", BitsStored=12, HighBit=11),
    ]
    options = {"group_series": False, "outputs": ["mask", "nifti", "seg"]}
    _, (iodine, mosaic, label, deep) = run(stack, files, **options)
    assert (iodine.intensity, iodine.findings["not_hounsfield"]) == ("percentile-positive", ["MGML"])
    assert (mosaic.findings["mosaic"], mosaic.findings["outputs_not_made"]) == ([48, 40], ["nifti", "seg"])
    assert label.error is not None
    assert label.error.code == "unsupported_image"
    assert (deep.state, deep.findings["codestream_depth"]) == ("succeeded", [12, 16])
