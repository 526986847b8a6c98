"""The simulator on real photographs: plausible, soft, repeatable maps, read the way Microsoft's article reads them."""

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw

from tests.support.servers.simulators import RunningSimulator, running_simulator

pytestmark = pytest.mark.slow_subject("simulator")

OUTLINE = Path(__file__).parent.parent / "data" / "retina_optic_disc.json"
ARTICLE_PROMPTS = "neoplastic cells in breast pathology & inflammatory cells"
CATEGORIES = {
    *("liver", "lung", "kidney", "pancreas", "heart anatomies", "brain anatomies", "eye anatomies", "vessel"),
    *("other organ", "tumor", "infection", "other lesion", "fluid disturbance", "other abnormality"),
    *("histology structure", "other"),
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[RunningSimulator]:
    with running_simulator() as simulator:
        yield simulator


def png(picture: Any) -> bytes:
    out = BytesIO()
    canvas = Image.fromarray(picture).resize((1024, 1024), Image.Resampling.BICUBIC)
    canvas.save(out, "PNG", compress_level=1)
    return out.getvalue()


@pytest.fixture(scope="module")
def retina() -> bytes:
    return png(skimage.data.retina())


@pytest.fixture(scope="module")
def tissue() -> bytes:
    return png(skimage.data.immunohistochemistry())


def score_as_the_article_does(endpoint: RunningSimulator, picture: bytes, text: str) -> tuple[Any, list[str]]:
    """Encode with `encodebytes`, index by `range`, decode with `frombuffer` and `reshape`."""
    rows = [[base64.encodebytes(picture).decode("utf-8"), text]]
    data = {"input_data": {"columns": ["image", "text"], "index": list(range(len(rows))), "data": rows}}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {endpoint.key}"}
    answer = httpx.post(endpoint.url, content=json.dumps(data).encode(), headers=headers, timeout=60)
    row = answer.raise_for_status().json()[0]
    features = json.loads(row["image_features"])
    decoded = np.frombuffer(base64.b64decode(features["data"]), dtype=features["dtype"])
    return decoded.reshape(features["shape"]), row["text_features"]


def test_the_articles_own_code_and_prompts_work_unchanged(endpoint: RunningSimulator, tissue: bytes) -> None:
    maps, categories = score_as_the_article_does(endpoint, tissue, ARTICLE_PROMPTS)
    assert (maps.shape, maps.dtype) == ((2, 1024, 1024), np.uint8)
    assert categories == ["histology structure"] * 2
    assert all(0.01 < (one >= 128).mean() < 0.5 for one in maps)


def test_neoplastic_cells_lie_in_stained_glands_and_inflammatory_ones_between(
    endpoint: RunningSimulator, tissue: bytes
) -> None:
    maps, _ = score_as_the_article_does(endpoint, tissue, ARTICLE_PROMPTS)
    neoplastic, inflammatory = maps >= 128
    colour = np.asarray(Image.open(BytesIO(tissue)).reduce(16).resize((1024, 1024)), np.int16)
    brownness = colour[..., 0] - colour[..., 2]
    assert brownness[neoplastic].mean() > brownness[inflammatory].mean() + 20
    assert (neoplastic & inflammatory).sum() < 0.05 * inflammatory.sum()


def test_the_optic_disc_agrees_with_an_outline_drawn_by_hand(endpoint: RunningSimulator, retina: bytes) -> None:
    outline = json.loads(OUTLINE.read_text())
    size = outline["width"], outline["height"]
    drawn = Image.new("1", size)
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in outline["polygon"]], fill=1)
    (probability,), categories = score_as_the_article_does(endpoint, retina, "optic disc in retinal fundus")
    found = np.asarray(Image.fromarray(probability).resize(size, Image.Resampling.BILINEAR)) >= 128
    by_hand = np.asarray(drawn)
    assert (found & by_hand).sum() / (found | by_hand).sum() >= 0.5
    assert categories == ["eye anatomies"]


def test_the_cup_lies_within_the_disc(endpoint: RunningSimulator, retina: bytes) -> None:
    maps, _ = score_as_the_article_does(endpoint, retina, "optic disc & optic cup & vessel")
    disc, cup, vessel = maps >= 128
    assert 0 < cup.sum() < disc.sum()
    assert (cup & ~disc).sum() == 0
    assert 0.01 < vessel.mean() < 0.2


def test_edges_are_soft_and_values_reach_from_0_to_255(endpoint: RunningSimulator, retina: bytes) -> None:
    (probability,), _ = score_as_the_article_does(endpoint, retina, "optic disc in retinal fundus")
    assert (probability.min(), probability.max()) == (0, 255)
    assert len(np.unique(probability)) > 100


def test_the_same_request_gives_the_same_map_and_another_prompt_another(
    endpoint: RunningSimulator, retina: bytes
) -> None:
    first, _ = score_as_the_article_does(endpoint, retina, "liver & spleen & aorta in abdomen CT")
    again, _ = score_as_the_article_does(endpoint, retina, "liver & spleen & aorta in abdomen CT")
    assert np.array_equal(first, again)
    assert len({one.tobytes() for one in first}) == 3


def test_another_picture_gives_another_map(endpoint: RunningSimulator, retina: bytes, tissue: bytes) -> None:
    first, _ = score_as_the_article_does(endpoint, retina, "tumor")
    second, _ = score_as_the_article_does(endpoint, tissue, "tumor")
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("prompt", ["tumor", "lung in chest X-ray", "glandular structure", "unheard-of thing"])
def test_the_black_margin_of_a_letterbox_stays_exactly_zero(endpoint: RunningSimulator, prompt: str) -> None:
    wide = np.zeros((512, 512, 3), np.uint8)
    wide[128:384] = skimage.data.immunohistochemistry()[128:384]
    (probability,), _ = score_as_the_article_does(endpoint, png(wide), prompt)
    assert probability[300:700].any()
    assert not probability[:252].any()
    assert not probability[772:].any()


def test_a_black_picture_gives_an_empty_map(endpoint: RunningSimulator) -> None:
    maps, _ = score_as_the_article_does(endpoint, png(np.zeros((8, 8, 3), np.uint8)), "tumor & lung")
    assert not maps.any()


def test_words_nobody_knows_get_a_weak_map_and_no_error(endpoint: RunningSimulator, retina: bytes) -> None:
    (probability,), categories = score_as_the_article_does(endpoint, retina, "the colour of Tuesday")
    assert 0 < probability.max() < 128
    assert categories == ["other"]


def test_dark_lungs_are_found_on_their_sides(endpoint: RunningSimulator) -> None:
    chest = Image.new("L", (1024, 1024))
    draw = ImageDraw.Draw(chest)
    draw.ellipse((60, 160, 964, 864), fill=190)
    draw.ellipse((180, 300, 440, 720), fill=50)
    draw.ellipse((580, 300, 840, 720), fill=50)
    prompts = "lung in chest X-ray & left lung in chest X-ray & right lung in chest X-ray"
    maps, categories = score_as_the_article_does(endpoint, png(np.asarray(chest.convert("RGB"))), prompts)
    both, left, right = maps >= 128
    assert both[510, 310]
    assert both[510, 710]
    assert not both[510, 510]
    assert left[510, 710]
    assert not left[:, :512].any()
    assert right[510, 310]
    assert not right[:, 512:].any()
    assert categories == ["lung"] * 3


def test_every_category_is_one_of_the_sixteen(endpoint: RunningSimulator, tissue: bytes) -> None:
    prompts = (
        *("liver", "left lung", "right kidney", "pancreas", "myocardium", "anterior hippocampus", "optic cup"),
        *("aorta", "spleen", "whole tumor", "COVID-19 infection", "polyp", "melanoma", "edema", "lung opacity"),
        *("kidney cyst", "glandular structure", "fetal head", "bone", "connective tissue cells", "zebra"),
    )
    maps, categories = score_as_the_article_does(endpoint, tissue, " & ".join(prompts))
    assert len(maps) == len(categories) == len(prompts)
    assert set(categories) <= CATEGORIES
    assert len(set(categories)) >= 14
