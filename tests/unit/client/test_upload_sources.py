import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrelay import errors
from maskrelay.client.upload_sources import sources_of
from tests.unit.client.services import job, parts_of, service


def read_png(content: Path | bytes) -> Image.Image:
    assert isinstance(content, bytes)
    return Image.open(io.BytesIO(content))


def test_a_path_may_be_text_or_a_path_alone_or_in_a_list(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(b"x")
    for given in (photo, str(photo), [str(photo)], (photo,), iter([photo])):
        (source,) = sources_of(given)  # type: ignore[arg-type]
        assert (source.name, source.content) == ("a.png", photo)


def test_names_keep_the_folders_below_the_one_that_all_files_share(tmp_path: Path, monkeypatch: Any) -> None:
    paths = [tmp_path / "patients" / name for name in ("a/1.png", "b/1.png", "b/deep/2.png")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert [source.name for source in sources_of(paths)] == ["a/1.png", "b/1.png", "b/deep/2.png"]
    assert [source.name for source in sources_of(paths[1:])] == ["1.png", "deep/2.png"]
    monkeypatch.chdir(tmp_path / "patients" / "a")
    assert [source.name for source in sources_of(["1.png", "../b/1.png"])] == ["a/1.png", "b/1.png"]


def test_a_file_whose_name_is_not_utf_8_is_sent_with_the_name_that_the_service_would_read(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"M\xfcller.png")).write_bytes(b"x")
    with service(job()) as one:
        one.client.submit(list(tmp_path.iterdir()), ["disc"])
        heads = [head for head, _ in parts_of(one.server.seen[0])]
    assert any('filename="Müller.png"' in head for head in heads)


def test_bytes_and_binary_files_are_sent_as_they_are(tmp_path: Path) -> None:
    for given in (b"raw", bytearray(b"raw"), memoryview(b"raw"), io.BytesIO(b"raw")):
        (source,) = sources_of(given)
        assert (source.name, source.content) == ("image-0", b"raw")


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2", "?"])
def test_an_array_becomes_a_png_of_the_same_values(shape: tuple[int, ...], kind: str) -> None:
    values = np.random.default_rng(1).integers(0, 2 if kind == "?" else 200, shape).astype(kind)
    values = values[::-1]  # not laid out as C has it
    (source,) = sources_of(values)
    assert source.name == "image-0.png"
    expected = values.squeeze(-1) if shape[2:] == (1,) else values
    if kind == "?":
        expected = expected.astype("u1") * 255
    if kind.endswith("u2") and len(expected.shape) == 3:
        return  # Pillow reads 16 bits of one channel only; the next test looks at the bytes
    assert np.array_equal(np.asarray(read_png(source.content)), expected)


def test_a_colour_array_of_16_bits_keeps_all_of_them() -> None:
    import zlib

    values = np.array([[[1, 256, 65535], [2, 3, 4]]], "<u2")
    (source,) = sources_of(values)
    assert isinstance(source.content, bytes)
    at = source.content.index(b"IDAT")
    length = int.from_bytes(source.content[at - 4 : at])
    assert zlib.decompress(source.content[at + 4 : at + 4 + length]) == b"\0" + values.astype(">u2").tobytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16"])
def test_a_pillow_image_is_sent_as_it_is_shown(mode: str) -> None:
    image = Image.new("RGB", (6, 4), (200, 10, 90)).convert(mode if mode != "I;16" else "I").convert(mode)
    (source,) = sources_of(image)
    assert read_png(source.content).size == (6, 4)
    if mode in {"L", "RGB", "RGBA"}:
        assert np.array_equal(np.asarray(read_png(source.content)), np.asarray(image))


def test_an_orientation_tag_of_a_pillow_image_does_not_turn_what_the_caller_sees() -> None:
    image = Image.new("RGB", (6, 4))
    exif = Image.Exif()
    exif[0x0112] = 6
    saved = io.BytesIO()
    image.save(saved, "JPEG", exif=exif.tobytes())
    (source,) = sources_of(Image.open(saved))
    sent = read_png(source.content)
    assert (sent.size, 0x0112 in sent.getexif()) == ((6, 4), False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([3.5], "Source 0 is of type float"),
        ([b"x", None], "Source 1 is of type NoneType"),
        (7, "Source 0 is of type int"),
        (np.zeros((4, 4)), "type f8"),
        (np.zeros((4, 4), "i2"), "type i2"),
        (np.zeros((4, 4, 2), "u1"), "shape"),
        (np.zeros((2, 4, 4, 3), "u1"), "shape"),
        (np.zeros((0, 4), "u1"), "shape"),
        (Image.new("F", (2, 2)), "mode F"),
        (io.StringIO("text"), "opened as text"),
    ],
)
def test_what_cannot_be_a_picture_is_refused_by_name(given: Any, said: str) -> None:
    with pytest.raises(errors.OptionInvalid, match=said):
        sources_of(given)


def test_a_path_that_is_no_file_is_named() -> None:
    with pytest.raises(errors.SourceMissing, match=r"nowhere\.png does not exist"):
        sources_of("nowhere.png")
    with pytest.raises(errors.SourceMissing, match="is a folder"):
        sources_of(Path.cwd())


def test_one_prompt_and_one_output_are_not_taken_for_a_list_of_letters() -> None:
    with service(job()) as one:
        one.client.submit(b"x", "liver", outputs="mask")
        heads = parts_of(one.server.seen[0])
    assert [content for head, content in heads if 'name="prompt"' in head] == [b"liver"]
    assert [content for head, content in heads if 'name="options"' in head] == [b'{"outputs": ["mask"]}']


def test_a_prompt_that_is_no_text_is_refused_before_anything_is_sent() -> None:
    with service(job()) as one:
        with pytest.raises(errors.OptionInvalid, match="Prompt 1 is of type int"):
            one.client.submit(b"x", ["liver", 7])  # type: ignore[list-item]
        assert one.lines == []
