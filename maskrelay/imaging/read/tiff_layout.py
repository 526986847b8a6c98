"""The sample layouts of TIFF that are supported: those for which every byte is known to be read correctly.

Pillow silently mistakes some layouts for others, so a layout that is not listed here is refused before decoding.
Source: TIFF 6.0 §3 to §21, and the technical notes for JPEG in TIFF.
"""

from PIL import TiffImagePlugin

from maskrelay.errors import UnsupportedImage

_NONE, _JPEG = 1, (6, 7)
_RGB, _PALETTE, _SEPARATED, _YCBCR, _CIELAB = 2, 3, 5, 6, 8
_PHOTOMETRIC = frozenset({0, 1, _RGB, _PALETTE, _SEPARATED, _YCBCR, _CIELAB})
_FLOAT = 3
#: Supported separate planes: the number of channels, and the kinds of extra samples (2: unassociated alpha).
_PLANAR = frozenset({(3, ()), (4, (2,))})


def check_layout(tags: TiffImagePlugin.ImageFileDirectory_v2) -> None:
    """Raise UnsupportedImage, which names the tag, for an unsupported layout. tags: those of one page."""
    compression = int(tags.get(TiffImagePlugin.COMPRESSION, _NONE))
    photometric = int(tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 0))
    if photometric not in _PHOTOMETRIC:
        raise UnsupportedImage(f"PhotometricInterpretation {photometric} of a TIFF is not read.")
    samples, bits = int(tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)), tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    if photometric == _YCBCR and compression not in _JPEG:
        raise UnsupportedImage("YCbCr in a TIFF is read only where it is compressed as JPEG.")
    if photometric == _SEPARATED and compression in _JPEG:
        raise UnsupportedImage("CMYK in a TIFF that is compressed as JPEG is not read: some of it is inverted.")
    if samples > 1 and int(tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1)) == 2:
        extra = tuple(tags.get(TiffImagePlugin.EXTRASAMPLES, ()))
        if max(bits) > 8 or photometric not in (_RGB, _YCBCR) or (samples, extra) not in _PLANAR:
            detail = "PlanarConfiguration 2 (channels apart) of a TIFF is read for colours of 8 bits alone"
            raise UnsupportedImage(f"{detail}; this one has {samples} channels of {max(bits)} bits.")


def is_white_at_zero(tags: TiffImagePlugin.ImageFileDirectory_v2) -> bool:
    """Return whether 0 means white in floating-point samples, which Pillow does not invert."""
    sample_format = tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))
    return int(tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 1)) == 0 and int(sample_format[0]) == _FLOAT
