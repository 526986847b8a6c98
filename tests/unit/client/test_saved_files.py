"""Files that the client saves: their names and folders, what is never overwritten, and the manifest."""

import json
from pathlib import Path
from typing import Any

import pytest

from maskrelay import errors
from maskrelay.client.artifact_names import safe_name
from tests.unit.client.services import MASK, ONE, Answer, artifact, item, items, service, with_files


def test_every_artifact_is_saved_under_its_readable_name(tmp_path: Path) -> None:
    link = "/v1/jobs/j1/artifacts/"
    shown = items(item("a", mask=f"{link}0-0-0.mask.png", probability=f"{link}0-0-0.p.png", overlay=f"{link}0-0.o.png"))
    files = [artifact(b"p", "attachment; filename=p.png"), artifact(b"o", "")]
    with service(with_files(shown, MASK, *files)) as one:
        saved = one.client.save("j1", tmp_path / "new" / "folder")
    assert [(file.output, file.prompt, file.path.name, file.path.read_bytes()) for file in saved] == [
        ("mask", "disc", "røntgen-disc.mask.png", b"mask"),
        ("probability", "disc", "p.png", b"p"),
        ("overlay", None, "0-0.o.png", b"o"),
    ]
    assert {file.custom_id for file in saved} == {"a"}
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {
        *(file.path.name for file in saved),
        "manifest.json",
    }


def test_two_artifacts_of_one_name_are_both_kept(tmp_path: Path) -> None:
    shown = items(*(item(str(n), mask=f"/v1/jobs/j1/artifacts/{n}.png") for n in range(3)))
    names = ["attachment; filename=a.mask.png", "attachment; filename=A.mask.png", "attachment; filename=a.mask.png"]
    files = (artifact(str(n).encode(), name) for n, name in enumerate(names))
    with service(with_files(shown, *files)) as one:
        saved = one.client.save("j1", tmp_path)
    assert [(file.path.name, file.path.read_bytes()) for file in saved] == [
        ("a.mask.png", b"0"),
        ("A-j1.mask.png", b"1"),
        ("a-j1-2.mask.png", b"2"),
    ]


def test_what_is_there_already_and_equal_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "røntgen-disc.mask.png"
    with service(ONE, MASK) as one:
        one.client.save("j1", tmp_path)
    before = path.stat().st_ino
    with service(ONE, MASK) as one:
        one.client.save("j1", tmp_path)
    assert path.stat().st_ino == before


def test_a_file_whose_etag_a_proxy_made_weak_is_saved_once(tmp_path: Path) -> None:
    tag, name = MASK.headers
    weak = Answer(200, MASK.body, (("etag", f"W/{tag[1]}"), name))
    for _ in range(2):
        with service(ONE, weak) as one:
            one.client.save("j1", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "røntgen-disc.mask.png"]


def test_a_file_that_cannot_get_its_name_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "ward").write_bytes(b"a file, not a folder")
    mask = artifact(b"m", "attachment; filename=1.mask.png")
    with service(items(named("a", "ward/1.png")), mask) as one, pytest.raises(OSError, match="ward"):
        one.client.save("j1", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ward"]


def test_a_file_of_other_content_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "røntgen-disc.mask.png"
    path.write_bytes(b"of another job")
    for _ in range(2):  # the second time ours is there as well
        with service(ONE, MASK) as one:
            (saved,) = one.client.save("j1", tmp_path)
        assert path.read_bytes() == b"of another job"
        assert (saved.path.name, saved.path.read_bytes()) == ("røntgen-disc-j1.mask.png", b"mask")
    assert len(list(tmp_path.iterdir())) == 3


def named(custom_id: str, source_name: str) -> dict[str, Any]:
    return {**item(custom_id, mask=f"/v1/jobs/j1/artifacts/{custom_id}.mask.png"), "source_name": source_name}


def test_files_lie_below_the_folders_of_their_source_and_never_outside(tmp_path: Path) -> None:
    sources = ["ward a/1.png", "ward b/1.png", "../../etc/1.png", "C:\\scans\\1.png"]
    shown = items(*(named(str(n), name) for n, name in enumerate(sources)))
    files = [artifact(str(n).encode(), "attachment; filename=1-disc.mask.png") for n in range(4)]
    with service(with_files(shown, *files)) as one:
        saved = one.client.save("j1", tmp_path)
    assert [file.path.relative_to(tmp_path).as_posix() for file in saved] == [
        "ward_a/1-disc.mask.png",
        "ward_b/1-disc.mask.png",
        "etc/1-disc.mask.png",
        "C_/scans/1-disc.mask.png",
    ]


def test_two_items_of_one_name_are_saved_under_their_custom_ids_in_whatever_order(tmp_path: Path) -> None:
    for folder, order in (("one", ("left", "right")), ("other", ("right", "left"))):
        files = [artifact(name.encode(), "attachment; filename=1.2.840.5-disc.mask.png") for name in order]
        with service(with_files(items(*(named(name, "1.2.840.5") for name in order)), *files)) as one:
            saved = one.client.save("j1", tmp_path / folder)
        assert {file.custom_id: file.path.name for file in saved} == {
            "left": "1.2.840.5-disc-left.mask.png",
            "right": "1.2.840.5-disc-right.mask.png",
        }


def test_the_manifest_says_what_each_file_shows_and_of_what(tmp_path: Path) -> None:
    failed = {"custom_id": "b", "source_name": "b.png", "state": "failed", "error": {"code": "truncated"}}
    with service(items(named("a", "ward/1.png"), failed), artifact(b"m", "attachment; filename=1.mask.png")) as one:
        one.client.save("j1", tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["job"] == {"id": "j1"}
    (file,) = manifest["files"]
    assert (tmp_path / file["path"]).read_bytes() == b"m"
    assert {name: file[name] for name in ("custom_id", "source_name", "output", "prompt")} == {
        "custom_id": "a",
        "source_name": "ward/1.png",
        "output": "mask",
        "prompt": "disc",
    }
    assert file["measures"]["area_px"] == 1
    assert [(one["custom_id"], one["state"]) for one in manifest["items"]] == [("a", "succeeded"), ("b", "failed")]
    assert manifest["items"][1]["error"]["code"] == "truncated"


def test_a_slice_is_named_in_the_manifest_by_its_own_file_and_object(tmp_path: Path) -> None:
    frames = []
    for number in range(2):
        mask = item("a", mask=f"/v1/jobs/j1/artifacts/{number}.mask.png")["masks"]
        own = {"source_name": f"series/IM{number + 7}.dcm", "instance": f"1.2.{number}"}
        frames.append({"frame": number, "state": "succeeded", "masks": mask, **own})
    shown = {"custom_id": "a", "source_name": "series/IM7.dcm", "state": "succeeded", "frames": frames}
    files = [artifact(str(n).encode(), f"attachment; filename=IM{n + 7}-disc.mask.png") for n in range(2)]
    with service(with_files(items(shown), *files)) as one:
        saved = one.client.save("j1", tmp_path)
    assert [(file.frame, file.source_name, file.instance) for file in saved] == [
        (0, "series/IM7.dcm", "1.2.0"),
        (1, "series/IM8.dcm", "1.2.1"),
    ]
    listed = json.loads((tmp_path / "manifest.json").read_text())["files"]
    assert [(file["path"], file["instance"]) for file in listed] == [
        ("series/IM7-disc.mask.png", "1.2.0"),
        ("series/IM8-disc.mask.png", "1.2.1"),
    ]


def test_a_manifest_of_another_job_stays(tmp_path: Path) -> None:
    for job in ("j1", "j2", "j2"):
        with service(items(named("a", "1.png")), artifact(b"m", "attachment; filename=1.mask.png")) as one:
            one.client.save(job, tmp_path)
    read = {path.name: json.loads(path.read_text())["job"]["id"] for path in tmp_path.glob("*.json")}
    assert read == {"manifest.json": "j1", "manifest-j2.json": "j2"}


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..\\..\\x.png",
        "/etc/passwd",
        "a/../b.png",
        ".bashrc",
        "..",
        ".",
        "",
        "a\0b\n.png",
        "x" * 999,
    ],
)
def test_no_name_of_the_service_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    safe = safe_name(name)
    assert (tmp_path / safe).resolve().parent == tmp_path.resolve()
    assert safe
    assert not safe.startswith(".")
    assert len(safe.encode()) <= 150
    assert safe.isprintable()


def test_a_symbolic_link_in_the_folder_is_neither_followed_nor_replaced(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "røntgen-disc.mask.png").symlink_to(outside)
    with service(ONE, MASK) as one:
        (saved,) = one.client.save("j1", folder)
    assert outside.read_bytes() == b"mine"
    assert (folder / "røntgen-disc.mask.png").is_symlink()
    assert saved.path.read_bytes() == b"mask"


def test_a_linked_subfolder_is_used_only_if_it_is_below_the_folder(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    (folder / "here").mkdir(parents=True)
    (folder / "ward_a").symlink_to(folder / "here")
    (folder / "ward_b").symlink_to(outside)
    mask = artifact(b"m", "attachment; filename=1.mask.png")
    with service(items(named("a", "ward a/1.png")), mask) as one:
        one.client.save("j1", folder)
    assert (folder / "here" / "1.mask.png").read_bytes() == b"m"
    for name in ("ward b/1.png", "ward b/new/1.png"):
        with (
            service(items(named("a", name)), mask) as one,
            pytest.raises(errors.OptionInvalid, match=r"ward_b.* leads out of .*folder"),
        ):
            one.client.save("j1", folder)
    assert list(outside.iterdir()) == []


def test_a_long_name_keeps_its_ending() -> None:
    assert safe_name("é" * 200 + ".mask.png").endswith(".png")
    assert len(safe_name("é" * 200 + ".mask.png").encode()) <= 150


def test_beside_a_label_volume_is_a_file_with_the_prompt_of_each_value(tmp_path: Path) -> None:
    link = "/v1/jobs/j1/artifacts/0.labels.nii.gz"
    shown = items({**item("a"), "links": {"nifti": link}})
    for _ in range(2):
        with service(with_files(shown, artifact(b"v", "attachment; filename=ct.labels.nii.gz"))) as one:
            one.client.save("j1", tmp_path)
        assert json.loads((tmp_path / "ct.labels.json").read_text()) == {"labels": {"1": "disc"}}
    assert len(list(tmp_path.iterdir())) == 3
