"""The supported sample layouts of TIFF files.

Pillow confuses some layouts with others, without an error. Therefore, only layouts that are known to be read correctly
are supported, and all others are refused before decoding. Source: TIFF 6.0 §3 to §21, and the technical notes for JPEG
in TIFF.
"""

from PIL import TiffImagePlugin

from maskrelay.errors import UnsupportedImage

_NONE, _JPEG = 1, (6, 7)
_RGB, _PALETTE, _SEPARATED, _YCBCR, _CIELAB = 2, 3, 5, 6, 8
_PHOTOMETRIC = frozenset({0, 1, _RGB, _PALETTE, _SEPARATED, _YCBCR, _CIELAB})
_FLOAT = 3
#: The supported layouts with separate planes: the number of channels, with the kinds of extra samples. The kind 2 is
#: unassociated alpha.
_PLANAR = frozenset({(3, ()), (4, (2,))})


def check_layout(tags: TiffImagePlugin.ImageFileDirectory_v2) -> None:
    """Raise UnsupportedImage if the layout of a page with these tags is not supported. The error names the tag."""
    compression = int(tags.get(TiffImagePlugin.COMPRESSION, _NONE))
    photometric = int(tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 0))
    if photometric not in _PHOTOMETRIC:
        raise UnsupportedImage(f"PhotometricInterpretation {photometric} is not supported in a TIFF.")
    samples, bits = int(tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)), tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    if photometric == _YCBCR and compression not in _JPEG:
        raise UnsupportedImage("YCbCr in a TIFF is only supported with JPEG compression.")
    if photometric == _SEPARATED and compression in _JPEG:
        raise UnsupportedImage("CMYK in a TIFF with JPEG compression is not supported, because it may be inverted.")
    if samples > 1 and int(tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1)) == 2:
        extra = tuple(tags.get(TiffImagePlugin.EXTRASAMPLES, ()))
        if max(bits) > 8 or photometric not in (_RGB, _YCBCR) or (samples, extra) not in _PLANAR:
            detail = "PlanarConfiguration 2 (separate channels) of a TIFF is only supported for 8-bit RGB or YCbCr"
            raise UnsupportedImage(f"{detail}; this file has {samples} channels of {max(bits)} bits.")


def is_white_at_zero(tags: TiffImagePlugin.ImageFileDirectory_v2) -> bool:
    """Return whether samples are floating-point numbers in which 0 means white. Pillow does not invert such samples."""
    sample_format = tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))
    return int(tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 1)) == 0 and int(sample_format[0]) == _FLOAT
