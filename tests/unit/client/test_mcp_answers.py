"""What a language model is told about prompts, jobs and masks, and which paths it may name."""

from pathlib import Path
from typing import Any

import pytest

from maskrelay.client import mcp_command
from maskrelay.client.allowed_folders import AllowedFolders
from maskrelay.client.cli import main
from maskrelay.client.mcp_answers import best_prompts, results_answer
from maskrelay.contract.views.job_views import ItemList
from maskrelay.contract.vocabulary.trained_targets import targets_of
from maskrelay.errors import SourceNotAllowed


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("liver in abdomen CT", "liver in abdomen CT"),
        ("gall bladder MRI", "gallbladder in abdomen MRI"),
        ("optic disk", "optic disc in retinal fundus"),
        ("kidny", "kidney in abdomen CT"),
        ("lung nodule", "nodule in lung CT"),
    ],
)
def test_the_best_prompt_comes_first(words: str, first: str) -> None:
    assert best_prompts(targets_of(None, None), words, 5).prompts[0] == first


def test_without_words_all_prompts_come_and_nothing_for_words_that_name_nothing() -> None:
    targets = targets_of("CT", None)
    assert best_prompts(targets, None, 100).prompts == [target.prompt for target in targets]
    assert best_prompts(targets, "qqq", 100).prompts == []


def mask(area: int, **more: Any) -> dict[str, Any]:
    plain = {"prompt": "liver", "category": "organ", "empty": area == 0, "area_px": area, "bbox": None}
    plain |= {"centroid": None, "components": 1, "mean_probability": 0.8, "border": [], "flags": [], "links": {}}
    return plain | more


def test_the_masks_of_a_series_are_summed_by_prompt_and_nothing_identifies_it() -> None:
    frames = [
        {"frame": 0, "state": "succeeded", "masks": [mask(0)], "instance": "1.2.3", "source_name": "Meier/1.dcm"},
        {"frame": 1, "state": "succeeded", "masks": [mask(30, flags=["overlaps"], area_mm2=15.0)]},
        {"frame": 2, "state": "succeeded", "masks": [mask(10, mean_probability=0.6, area_mm2=5.0)]},
        {"frame": 3, "state": "failed", "error": {"code": "truncated", "detail": None}},
    ]
    item = {"item": 4, "custom_id": "7/2", "source_name": "Meier", "state": "partial", "frames": frames}
    other = {"item": 5, "custom_id": "Meier 1.2.3", "identifiers": {"study": "1.2.3"}, "state": "succeeded"}
    answer = results_answer(ItemList.model_validate({"items": [item, other]}), None)
    first, second = answer.items
    assert (first.item, first.file, first.frames, first.failed_frames) == (4, 7, 4, {"truncated": 1})
    (liver,) = first.masks
    assert (liver.frames, liver.area_px, liver.mean_probability, liver.flags) == (2, 40, 0.7, ["overlaps"])
    assert liver.area_mm2 is None
    assert (second.item, second.file) == (5, None)
    assert "Meier" not in answer.model_dump_json()
    assert "1.2.3" not in answer.model_dump_json()


def test_paths_are_below_the_folders_with_their_links(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "deep" / "a.png").write_bytes(b"x")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in" / "deep")
    (tmp_path / "in" / "away").symlink_to(tmp_path / "out")
    allowed = AllowedFolders.of([tmp_path / "in"])
    assert allowed.files(["again/a.png", "deep"]).files == [tmp_path / "in" / "deep" / "a.png"]
    for path in ("../out", "away", "away/new", str(tmp_path), "/", "a\0b"):
        with pytest.raises(SourceNotAllowed) as refused:
            allowed.resolved(path)
        assert "out" not in refused.value.detail or "out" in path


def test_the_command_says_which_extra_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mcp_command, "find_spec", lambda _name: None)
    assert main(["mcp", "--root", str(tmp_path)]) == 3
    assert "pip install 'maskrelay[mcp]'" in capsys.readouterr().err
