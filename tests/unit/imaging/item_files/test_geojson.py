import io
import json

import numpy as np
import pytest
from skimage.draw import polygon
from skimage.measure import label

from maskrelay.imaging.draw.palette import colour_of
from maskrelay.imaging.item_files.geojson import write_geojson
from maskrelay.imaging.item_files.outlines import regions_of
from tests.support.builders.outlined import filled


def features(masks: np.ndarray, prompts=("nuclei", "glands")) -> list[dict]:
    """masks: (frames, prompts, rows, columns)."""
    out = io.BytesIO()
    write_geojson(out, prompts, len(masks), lambda frame, prompt: masks[frame, prompt])
    collection = json.loads(out.getvalue())
    assert collection["type"] == "FeatureCollection"
    return collection["features"]


def drawn(rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows.split()])


def test_a_pixel_is_a_square_along_its_edges_and_its_ring_is_closed():
    [feature] = features(drawn("..... ..#..")[None, None], ["cell"])
    assert feature["geometry"] == {"type": "Polygon", "coordinates": [[[2, 1], [3, 1], [3, 2], [2, 2], [2, 1]]]}


def test_a_region_is_an_annotation_named_and_coloured_as_its_prompt():
    masks = np.zeros((1, 2, 9, 9), np.bool_)
    masks[0, 1, 2:5, 3:7] = True
    [feature] = features(masks)
    assert feature["properties"] == {
        "objectType": "annotation",
        "classification": {"name": "glands", "color": list(colour_of(1))},
        "measurements": [{"name": "area_px", "value": 12}],
    }


def test_a_hole_is_an_inner_ring_that_runs_the_other_way():
    [feature] = features(drawn("#### #..# ####")[None, None], ["ring"])
    outer, hole = feature["geometry"]["coordinates"]
    assert (len(outer), len(hole)) == (5, 5)
    assert area(outer) == 12
    assert area(hole) == -2
    assert feature["properties"]["measurements"][0]["value"] == 10


def test_parts_that_meet_at_a_corner_are_one_feature_of_two_polygons():
    [feature] = features(drawn("##.. ##.. ..##")[None, None], ["cell"])
    assert feature["geometry"]["type"] == "MultiPolygon"
    assert len(feature["geometry"]["coordinates"]) == 2


def test_a_hole_that_touches_the_outline_stays_a_ring_of_its_own():
    [region] = regions_of(drawn("##. #.# ###"))
    [[outer, hole]] = region.polygons
    assert area(hole) == -1
    assert all(len(set(ring)) == len(ring) - 1 for ring in (outer, hole))


def test_frames_are_named_only_where_there_are_several():
    masks = np.ones((3, 1, 2, 2), np.bool_)
    assert [feature["properties"]["frame"] for feature in features(masks, ["a"])] == [0, 1, 2]
    assert "frame" not in features(masks[:1], ["a"])[0]["properties"]


def test_nothing_found_is_an_empty_collection():
    assert features(np.zeros((2, 2, 5, 5), np.bool_)) == []


def test_names_of_any_script_are_kept():
    [feature] = features(np.ones((1, 1, 2, 2), np.bool_), ['核 "big"'])
    assert feature["properties"]["classification"]["name"] == '核 "big"'


@pytest.mark.parametrize("density", [0.002, 0.5, 0.9])
def test_a_large_mask_of_many_regions_comes_back_exactly(density):
    rng = np.random.default_rng(5)
    mask = np.kron(rng.random((60, 60)) < density, np.ones((5, 5), np.bool_)) ^ (rng.random((300, 300)) < 0.02)
    regions = regions_of(mask)
    assert np.array_equal(filled(regions, mask.shape), mask)
    assert len(regions) == label(mask, connectivity=2).max()


def test_a_thousand_regions_are_outlined():
    disc = np.zeros((50, 50), np.bool_)
    disc[polygon([5, 5, 40, 40], [5, 30, 40, 10])] = True
    mask = np.tile(disc, (40, 40))
    assert len(regions_of(mask)) == 1600


def area(ring) -> float:
    x, y = np.array(ring, float).T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)
