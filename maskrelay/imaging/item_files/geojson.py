"""The masks of an item as GeoJSON outlines, which QuPath and other pathology programs can read."""

import json
from collections.abc import Sequence
from typing import Any, BinaryIO

from maskrelay.imaging.draw.palette import colour_of
from maskrelay.imaging.item_files import MaskOf
from maskrelay.imaging.item_files.outlines import Region, regions_of


def write_geojson(out: BinaryIO, prompts: Sequence[str], frames: int, mask_of: MaskOf) -> None:
    """Write a FeatureCollection, with one annotation for each region of each mask, frame by frame.

    A region is a component whose pixels share sides or corners. Coordinates are in source pixels. x grows to the right
    and y grows downwards, from the top left corner. The polygons follow the edges of pixels, so filling them gives the
    mask again. A region with parts that touch only at corners is a MultiPolygon. If the item has several frames, the
    property `frame` of an annotation is the number of its frame, counted from 0. Source: RFC 7946, and QuPath's
    properties of an annotation.
    """
    out.write(b'{"type":"FeatureCollection","features":[')
    parting = b"\n"
    for frame in range(frames):
        for number, prompt in enumerate(prompts):
            shown = {"name": prompt, "color": list(colour_of(number))}
            for region in regions_of(mask_of(frame, number)):
                feature = _feature(region, shown, frame if frames > 1 else None)
                out.write(parting + json.dumps(feature, ensure_ascii=False, separators=(",", ":")).encode())
                parting = b",\n"
    out.write(b"\n]}\n")


def _feature(region: Region, shown: dict[str, Any], frame: int | None) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "objectType": "annotation",
        "classification": shown,
        "measurements": [{"name": "area_px", "value": region.area_px}],  # all versions of QuPath read this format
    }
    if frame is not None:
        properties["frame"] = frame
    several = len(region.polygons) > 1
    geometry = {
        "type": "MultiPolygon" if several else "Polygon",
        "coordinates": region.polygons if several else region.polygons[0],
    }
    return {"type": "Feature", "geometry": geometry, "properties": properties}
