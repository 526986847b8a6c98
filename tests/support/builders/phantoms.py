"""Volumes of known shapes at known places in the patient, as CT series and as NIfTI."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

Points = npt.NDArray[np.float64]
#: A function from (…, 3) points in millimetres, LPS+, to the signed distance in millimetres to the surface of the
#: shapes, which is positive inside.
Distance = Callable[[Points], npt.NDArray[np.float64]]

INSIDE_HU, OUTSIDE_HU = 200.0, -100.0


@dataclass(frozen=True)
class Raster:
    """The positions of voxels: columns along `row` (a unit vector, LPS+), rows along
    `column`, slices along `normal`.
    """

    origin: Points
    row: Points
    column: Points
    spacing: tuple[float, float, float]  # between columns, rows, slices
    shape: tuple[int, int, int]  # columns, rows, slices

    @property
    def normal(self) -> Points:
        return np.cross(self.row, self.column)

    def centres(self) -> Points:
        """Return the centres, (columns, rows, slices, 3), in millimetres, LPS+."""
        return self.at(*np.meshgrid(*(np.arange(n) for n in self.shape), indexing="ij"))

    def at(self, i: Any, j: Any, k: Any) -> Points:
        steps = [np.asarray(n, np.float64)[..., None] for n in (i, j, k)]
        axes = (self.row * self.spacing[0], self.column * self.spacing[1], self.normal * self.spacing[2])
        return self.origin + sum(step * axis for step, axis in zip(steps, axes, strict=True))


def oblique(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Raster:
    """Return a raster that is turned about every axis of the patient, with its middle near the origin."""
    turn = _about(0, 0.35) @ _about(1, -0.25) @ _about(2, 0.6)
    row, column, normal = turn[:, 0], turn[:, 1], turn[:, 2]
    half = [n * s / 2 for n, s in zip(shape, spacing, strict=True)]
    origin = -(row * half[0] + column * half[1] + normal * half[2]) + np.array([3.0, -7.0, 11.0])
    return Raster(origin, row, column, spacing, shape)


def _about(axis: int, angle: float) -> Points:
    turn = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
    return turn


def ball(centre: tuple[float, float, float], radius: float) -> Distance:
    return lambda points: radius - np.linalg.norm(points - np.array(centre), axis=-1)


def union(*distances: Distance) -> Distance:
    return lambda points: np.max([distance(points) for distance in distances], axis=0)


def voxels(raster: Raster, distance: Distance) -> npt.NDArray[np.float64]:
    """Return (columns, rows, slices) in HU.

    A voxel that the surface crosses in its slice has the share that is inside.
    """
    columns, rows, slices = raster.shape
    fine = 4
    offsets = (np.arange(fine) + 0.5) / fine - 0.5
    share = np.zeros(raster.shape)
    for across in offsets:
        for down in offsets:
            i, j, k = np.meshgrid(np.arange(columns) + across, np.arange(rows) + down, np.arange(slices), indexing="ij")
            share += distance(raster.at(i, j, k)) > 0
    return OUTSIDE_HU + (INSIDE_HU - OUTSIDE_HU) * share / fine**2


def nifti(raster: Raster, values: npt.NDArray[np.float64]) -> bytes:
    """Return a .nii.gz of int16 with its affine (RAS+)."""
    lps = np.eye(4)
    for number, (axis, step) in enumerate(zip((raster.row, raster.column, raster.normal), raster.spacing, strict=True)):
        lps[:3, number] = axis * step
    lps[:3, 3] = raster.origin
    image = nibabel.Nifti1Image(np.rint(values).astype(np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps)
    image.header.set_xyzt_units("mm")
    return gzipped(image.to_bytes())


def gzipped(body: bytes) -> bytes:
    import gzip

    return gzip.compress(body, 1, mtime=0)


def series(raster: Raster, values: npt.NDArray[np.float64], order: npt.NDArray[np.intp], **tags: Any) -> list[bytes]:
    """Return one CT object for each slice, in the order `order`. Their instance numbers have no meaning."""
    uids = {"study": generate_uid(), "series": generate_uid(), "frame": generate_uid()}
    return [_slice(raster, values, int(k), number, uids, tags) for number, k in enumerate(order)]


def _slice(
    raster: Raster, values: npt.NDArray[np.float64], k: int, number: int, uids: dict[str, str], tags: dict[str, Any]
) -> bytes:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = uids["study"], uids["series"]
    made.FrameOfReferenceUID = uids["frame"]
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = "Secret^Person", "S-1", "", ""
    made.StudyDate = made.StudyTime = made.AccessionNumber = made.ReferringPhysicianName = made.StudyID = ""
    made.Modality, made.BodyPartExamined, made.Manufacturer, made.SeriesNumber = "CT", "ABDOMEN", "phantom", 1
    made.PositionReferenceIndicator, made.ImageType = "", ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.InstanceNumber, made.AcquisitionNumber = number + 1, 1
    made.ImageOrientationPatient = [round(float(x), 10) for x in (*raster.row, *raster.column)]
    made.ImagePositionPatient = [round(float(x), 8) for x in raster.at(0, 0, k)]
    made.PixelSpacing = [raster.spacing[1], raster.spacing[0]]
    made.SliceThickness, made.KVP = raster.spacing[2], 120
    made.Columns, made.Rows = raster.shape[:2]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.RescaleIntercept, made.RescaleSlope, made.RescaleType = -1024, 1, "HU"
    made.PixelData = (np.rint(values[:, :, k].T) + 1024).astype("<u2").tobytes()
    for name, value in tags.items():
        setattr(made, name, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    written = io.BytesIO()
    pydicom.dcmwrite(written, made, enforce_file_format=True)
    return written.getvalue()
