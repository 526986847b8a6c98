import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from maskrelay import errors
from maskrelay.client.artifact_names import safe_name
from tests.support.servers.scripted_server import Seen
from tests.unit.client.services import Answer, problem, service, with_files


def item(custom_id: str, **links: str) -> dict[str, Any]:
    mask = {
        "prompt": "disc",
        "category": None,
        "empty": False,
        "area_px": 1,
        "bbox": [0, 0, 1, 1],
        "centroid": [0, 0],
        "components": 1,
        "mean_probability": 0.9,
        "border": [],
        "flags": [],
        "links": {name: link for name, link in links.items() if name != "overlay"},
    }
    overlay = {"overlay": links["overlay"]} if "overlay" in links else {}
    return {"custom_id": custom_id, "state": "succeeded", "masks": [mask], "links": overlay}


def items(*shown: dict[str, Any]) -> Answer:
    return Answer(200, {"items": list(shown), "next": None})


def artifact(content: bytes, name: str, *, sha256: str | None = None, cut: int | None = None) -> Answer:
    tag = hashlib.sha256(content).hexdigest() if sha256 is None else sha256
    return Answer(200, content, (("etag", f'"{tag}"'), ("content-disposition", name)), cut)


ONE = items(item("a", mask="http://public.example/base/v1/jobs/j1/artifacts/0-0-0.mask.png"))
MASK = artifact(b"mask", "attachment; filename=\"m.png\"; filename*=UTF-8''r%C3%B8ntgen-disc.mask.png")


def moved_to(address: str) -> Answer:
    """The service sends whoever asks for the mask there."""
    return Answer(307, b"", (("location", address), *MASK.headers))


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


def test_files_that_did_not_arrive_together_are_fetched_one_by_one(tmp_path: Path) -> None:
    links = [f"/v1/jobs/j1/artifacts/{number}-{number}-0.mask.png" for number in range(6)]
    shown = items(*(item(str(number), mask=link) for number, link in enumerate(links)))
    files = [artifact(b"mask %d" % number, f"attachment; filename={number}.png") for number in range(len(links))]
    together = b"".join(b"--b\r\n" + file.raw().partition(b"\r\n")[2] + b"\r\n" for file in files) + b"--b--\r\n"
    one_by_one = with_files(shown, *files)

    def answer(seen: Seen) -> Answer:
        if "/artifacts?" in seen.line:
            return Answer(200, together, (("content-type", "multipart/mixed; boundary=b"),), len(together) // 2)
        return one_by_one(seen)

    with service(answer) as one:
        saved = one.client.save("j1", tmp_path / "new")
        asked = [line for line in one.lines if "/artifacts/" in line]
    assert [file.path.read_bytes() for file in saved] == [b"mask %d" % number for number in range(len(links))]
    assert 0 < len(asked) < len(links)  # what had arrived before the response broke off is not requested again
    assert not list((tmp_path / "new").glob(".*.part"))


def test_what_has_arrived_is_kept_when_the_saving_is_interrupted(tmp_path: Path) -> None:
    def volume(number: int) -> dict[str, Any]:
        frames = [
            {**item("f", mask=f"/v1/jobs/j1/artifacts/{number}-{number * 100 + frame}-0.mask.png"), "frame": frame}
            for frame in range(100)
        ]
        links = {"nifti": f"/v1/jobs/j1/artifacts/{number}.labels.nii.gz"}
        return {"custom_id": str(number), "state": "succeeded", "frames": frames, "links": links}

    def answer(seen: Seen) -> Answer:
        path = seen.line.split()[1]
        if "/artifacts?" in path:
            names = parse_qs(urlsplit(path).query)["name"]
            files = (artifact(name.encode(), f"attachment; filename={name}").raw() for name in names)
            parts = [b"--b\r\n" + file.partition(b"\r\n")[2] + b"\r\n" for file in files]
            return Answer(200, b"".join(parts) + b"--b--\r\n")
        if path.endswith("/4.labels.nii.gz"):
            return problem(422, "option_invalid", "It breaks here.")
        if path.endswith(".nii.gz"):
            name = path.rpartition("/")[2]
            return artifact(name.encode(), f"attachment; filename={name}")
        return items(*(volume(number) for number in range(5)))

    with service(answer) as one, pytest.raises(errors.OptionInvalid):
        one.client.save("j1", tmp_path / "new")
    # The labels of the last volume failed. Everything before them has its name.
    assert len(list((tmp_path / "new").glob("*.labels.nii.gz"))) == 4
    assert len(list((tmp_path / "new").glob("*.mask.png"))) >= 400


def test_a_link_to_another_address_is_asked_of_the_service_alone(tmp_path: Path) -> None:
    with service(ONE, MASK) as one:
        one.client.save("j1", tmp_path)
        assert one.lines[1] == "GET /v1/jobs/j1/artifacts/0-0-0.mask.png"


def test_a_file_that_lies_elsewhere_is_fetched_there_without_the_key_and_is_what_the_service_said(
    tmp_path: Path,
) -> None:
    with service(Answer(200, b"mask"), Answer(200, b"mosk")) as store:
        with service(ONE, moved_to(f"{store.url}/bucket/m?signed=1"), ONE, moved_to(f"{store.url}/m")) as one:
            (saved,) = one.client.save("j1", tmp_path)
            assert (saved.path.name, saved.path.read_bytes()) == ("røntgen-disc.mask.png", b"mask")
            with pytest.raises(errors.ServiceAnswerUnknown, match="damaged"):
                one.client.save("j1", tmp_path / "again")
        assert store.lines[0] == "GET /bucket/m?signed=1"
        assert all("authorization" not in seen.headers for seen in store.server.seen)


def test_a_store_behind_the_services_own_address_is_not_given_the_key_either(tmp_path: Path) -> None:
    with service(ONE, moved_to("/bucket/m?signed=1"), Answer(200, b"mask")) as one:
        one.client.save("j1", tmp_path)
    assert one.lines[-1] == "GET /bucket/m?signed=1"
    assert ["authorization" in seen.headers for seen in one.server.seen] == [True, True, False]


def test_an_address_that_is_over_is_asked_for_anew(tmp_path: Path) -> None:
    with service(Answer(403, b"expired"), Answer(200, b"mask")) as store, service(ONE, moved_to(store.url)) as one:
        (saved,) = one.client.save("j1", tmp_path)
    assert saved.path.read_bytes() == b"mask"


@pytest.mark.parametrize("away", [False, True])
def test_a_store_that_fails_is_named_without_the_rest_of_its_address(tmp_path: Path, away: bool) -> None:
    with service(Answer(403, b"no")) as store:
        address = "http://127.0.0.1:9" if away else store.url
        said = "cannot reach the object store at 127.0.0.1" if away else "the object store at 127.0.0.1.*returned 403"
        with (
            service(ONE, moved_to(f"{address}/m?signed=1")) as one,
            pytest.raises(errors.ServiceUnreachable, match=said) as caught,
        ):
            one.client.save("j1", tmp_path)
    assert "signed" not in str(caught.value)


def test_a_redirect_that_says_nothing_of_the_file_is_not_followed(tmp_path: Path) -> None:
    moved = Answer(301, b"", (("location", "/v1/jobs/j1/artifacts/0-0-0.mask.png"),))
    with service(ONE, moved, MASK) as one, pytest.raises(errors.ServiceAnswerUnknown, match="returned 301"):
        one.client.save("j1", tmp_path)


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


def test_a_body_that_breaks_off_is_fetched_again_and_half_of_it_never_seen(tmp_path: Path) -> None:
    cut = artifact(b"mask", "attachment; filename=m.png", cut=2)
    with service(ONE, cut, MASK) as one:
        saved = one.client.save("j1", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {saved[0].path.name, "manifest.json"}
    assert saved[0].path.read_bytes() == b"mask"


def test_a_body_that_always_breaks_off_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    cut = artifact(b"mask", "attachment; filename=m.png", cut=2)
    with service(ONE, cut) as one, pytest.raises(errors.ServiceUnreachable, match="broke"):
        one.client.save("j1", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_body_that_is_not_what_its_hash_says_is_not_kept(tmp_path: Path) -> None:
    with (
        service(ONE, artifact(b"mask", "", sha256="0" * 64)) as one,
        pytest.raises(errors.ServiceAnswerUnknown, match="damaged"),
    ):
        one.client.save("j1", tmp_path)
    assert list(tmp_path.iterdir()) == []


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
