import numpy as np
import pytest

from maskrelay.contract.records.source_frames import Window
from maskrelay.contract.vocabulary.intensity_names import CT_WINDOWS, ExplicitWindow
from maskrelay.imaging.intensity.presets import default_preset, voi_window, window_of
from maskrelay.imaging.intensity.window import to_bytes
from maskrelay.imaging.plane import Plane


def unread():
    raise AssertionError("no pixel is needed for this")


@pytest.mark.parametrize(
    ("modality", "body_part", "bits", "expected"),
    [
        ("CT", None, 16, "ct-abdomen"),
        ("CT", "ABDOMEN", 12, "ct-abdomen"),
        ("CT", "CHEST", 16, "ct-lung"),
        ("CT", "Lung", 16, "ct-lung"),
        ("CT", " PELVIS ", 16, "ct-pelvis"),
        ("CT", "LIVER", 16, "ct-liver"),
        ("CT", "COLON", 16, "ct-colon"),
        ("CT", "PANCREAS", 16, "ct-pancreas"),
        ("CT", "CHESTABDPELVIS", 16, "ct-abdomen"),
        ("CT", "CHEST", 8, "none"),
        ("MR", "LIVER", 12, "percentile-positive"),
        ("CR", None, 10, "percentile-positive"),
        (None, None, 16, "percentile-positive"),
        ("US", None, 8, "none"),
        (None, None, 1, "none"),
    ],
)
def test_the_default_follows_modality_body_part_and_bits(modality, body_part, bits, expected):
    assert default_preset(modality, body_part, bits) == expected


@pytest.mark.parametrize("name", CT_WINDOWS)
def test_a_ct_preset_needs_no_pixel(name):
    low, high = CT_WINDOWS[name]
    assert window_of(name, unread) == Window(name=name, low=low, high=high)


def test_none_is_no_window_and_an_explicit_one_is_itself():
    assert window_of("none", unread) is None
    assert window_of(ExplicitWindow(window=(-5, 7.5)), unread) == Window(name="window", low=-5, high=7.5)


def test_percentiles_are_taken_of_the_planes():
    values = np.arange(-1000, 1001, dtype=np.int16).reshape(3, 667)
    planes = [Plane(values, 16)]
    assert window_of("percentile-positive", lambda: iter(planes)).low == pytest.approx(5.995)
    assert window_of("percentile-all", lambda: iter(planes)).low == -990


def test_a_voi_window_reaches_from_its_first_to_its_last_value():
    # PS3.3 C.11.2.1.2.1: at or below centre − 0.5 − (width − 1) ÷ 2 all black, above the same with plus all white
    assert voi_window(2048, 4096) == Window(name="voi", low=0.0, high=4095.0)
    assert voi_window(40, 400) == Window(name="voi", low=-160.0, high=239.0)
    plane = Plane(np.array([[-161, -160, 239, 240]], np.int16), 16)
    pixels, name = to_bytes(plane, voi_window(40, 400))
    assert (pixels.tolist(), name) == ([[0, 0, 255, 255]], "voi")


def test_ct_that_is_not_in_hounsfield_units_gets_no_ct_window():
    assert default_preset("CT", "LIVER", 16, hounsfield=False) == "percentile-positive"
    assert default_preset("CT", "LIVER", 8, hounsfield=False) == "none"


def test_an_exact_voi_window_reaches_over_its_whole_width():
    # PS3.3 C.11.2.1.3.2: white above centre + width ÷ 2, black at or below centre − width ÷ 2
    assert voi_window(40, 400, "LINEAR_EXACT") == Window(name="voi", low=-160.0, high=240.0)
    assert voi_window(40, 400, "LINEAR") == voi_window(40, 400)


def test_a_sigmoid_voi_window_is_the_curve_of_the_standard():
    # PS3.3 C.11.2.1.3.1: 255 ÷ (1 + exp(−4 (x − centre) ÷ width))
    values = np.arange(-1000, 1001, 7, dtype=np.int16)[None]
    expected = np.floor(255 / (1 + np.exp(-4 * (values.astype(float) - 40) / 400)) + 0.5)
    for kind in (np.int16, np.float64):
        pixels, name = to_bytes(Plane(values.astype(kind), 16), voi_window(40, 400, "SIGMOID"))
        assert (np.array_equal(pixels, expected), name) == (True, "voi")


def test_a_voi_window_of_width_1_is_a_threshold():
    pixels, _ = to_bytes(Plane(np.array([[38, 39, 40, 41]], np.int16), 16), voi_window(40, 1))
    assert pixels.tolist() == [[0, 0, 255, 255]]
