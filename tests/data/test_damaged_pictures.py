"""Whatever a picture file holds, it is read or refused by an `InputError` that names it."""

import io
import os
import struct

import numpy as np
import pytest
from data.mutations import mutations
from data.mutations import with_repaired_crcs
from PIL import Image

from guidedcam_tf.data import decoding
from guidedcam_tf.data import read_picture
from guidedcam_tf.errors import InputError

COUNT = int(os.environ.get("GUIDEDCAM_FUZZ", "100"))
"""How many mutations of each kind; set it higher to search longer."""

PIXELS = np.kron(np.random.default_rng(3).integers(0, 256, (4, 6, 3)), np.ones((4, 4, 1)))
RGB = Image.fromarray(PIXELS.astype(np.uint8))
GREY_16 = Image.fromarray((PIXELS[..., 0] * 257).astype(np.uint16))


def exif():
    found = Image.Exif()
    found[0x0112] = 6
    found[0x010F] = "a camera"
    found[0x829A] = 0.01
    found.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    return found


def written(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def frames(kind, **options):
    other = Image.fromarray(255 - np.asarray(RGB))
    return written(RGB, kind, save_all=True, append_images=[other], duration=50, **options)


def icon():
    """An ICNS file of 32 x 32 pixels; Pillow itself writes all sizes up to 1024."""
    png = written(RGB.resize((32, 32)), "PNG")
    return (
        b"icns" + struct.pack(">I", len(png) + 16) + b"icp5" + struct.pack(">I", len(png) + 8) + png
    )


KINDS = {
    "AVIF": lambda: written(RGB, "AVIF"),
    "AVIF with EXIF": lambda: written(RGB, "AVIF", exif=exif()),
    "BLP": lambda: written(RGB.quantize(8), "BLP"),
    "BMP": lambda: written(RGB, "BMP"),
    "palette BMP": lambda: written(RGB.quantize(8), "BMP"),
    "DDS": lambda: written(RGB, "DDS"),
    "DDS, DXT1": lambda: written(RGB.convert("RGBA"), "DDS", pixel_format="DXT1"),
    "DIB": lambda: written(RGB, "DIB"),
    "EPS": lambda: written(RGB, "EPS"),
    "GIF": lambda: frames("GIF"),
    "ICNS": icon,
    "ICO": lambda: written(RGB, "ICO", sizes=[(16, 16)]),
    "ICO of BMP": lambda: written(RGB, "ICO", sizes=[(16, 16)], bitmap_format="bmp"),
    "IM": lambda: written(RGB, "IM"),
    "JPEG": lambda: written(RGB, "JPEG"),
    "JPEG with EXIF": lambda: written(RGB, "JPEG", exif=exif()),
    "CMYK JPEG": lambda: written(RGB.convert("CMYK"), "JPEG", progressive=True),
    "JPEG2000": lambda: written(RGB, "JPEG2000"),
    "MPO": lambda: written(RGB, "MPO", save_all=True, append_images=[RGB]),
    "MSP": lambda: written(RGB.convert("1"), "MSP"),
    "PCX": lambda: written(RGB, "PCX"),
    "PNG": lambda: written(RGB, "PNG"),
    "PNG with EXIF": lambda: written(RGB, "PNG", exif=exif()),
    "palette PNG": lambda: written(RGB.quantize(8), "PNG", transparency=2),
    "16-bit PNG": lambda: written(GREY_16, "PNG"),
    "animated PNG": lambda: frames("PNG"),
    "PPM": lambda: written(RGB, "PPM"),
    "PGM": lambda: written(GREY_16, "PPM"),
    "QOI": lambda: written(RGB, "QOI"),
    "SGI": lambda: written(RGB, "SGI"),
    "SPIDER": lambda: written(RGB.convert("F"), "SPIDER"),
    "TGA": lambda: written(RGB, "TGA", compression="tga_rle"),
    "TIFF": lambda: written(RGB, "TIFF"),
    "TIFF with EXIF": lambda: written(RGB, "TIFF", exif=exif()),
    "TIFF, LZW": lambda: written(RGB, "TIFF", compression="tiff_lzw"),
    "TIFF, deflated": lambda: written(RGB, "TIFF", compression="tiff_adobe_deflate"),
    "16-bit TIFF": lambda: written(GREY_16, "TIFF"),
    "WEBP": lambda: written(RGB, "WEBP", exif=exif()),
    "lossless WEBP": lambda: frames("WEBP", lossless=True),
    "XBM": lambda: written(RGB.convert("1"), "XBM"),
}
UNREADABLE = {"EPS", "SPIDER"}
"""Kinds that Pillow writes, and reads only by another program or as floats: always refused."""


@pytest.fixture
def few_pixels(monkeypatch):
    """A header may ask for a hundred million pixels, which would only take time here."""
    monkeypatch.setattr(decoding, "MAX_PIXELS", 200_000)


def read(path, encoded):
    """Read a picture; return what refused it, if anything did."""
    path.write_bytes(encoded)
    try:
        picture = read_picture(path)
    except InputError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
        return error
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_changed_bytes_are_read_or_refused(tmp_path, few_pixels, kind):
    original = KINDS[kind]()
    path = tmp_path / "picture"
    assert (read(path, original) is None) == (kind not in UNREADABLE)
    for changed in mutations(original, COUNT, seed=len(kind)):
        read(path, changed)
        if "PNG" in kind:
            read(path, with_repaired_crcs(changed))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "EXIF" in kind])
def test_changed_exif_is_read_or_refused(tmp_path, few_pixels, kind):
    original = KINDS[kind]()
    first = original.index(b"a camera") - 120
    within = (max(0, first), first + 170)
    for changed in mutations(original, 2 * COUNT, seed=1, within=within):
        read(tmp_path / "picture", with_repaired_crcs(changed) if "PNG" in kind else changed)


def test_every_kind_that_pillow_can_write_is_tried():
    Image.init()
    without_pixels = {"BUFR", "GRIB", "HDF5", "PALM", "PDF", "WMF"}
    tried = {kind.split()[-1] for kind in KINDS} | {kind.split(",")[0] for kind in KINDS}
    tried |= {kind.split()[0] for kind in KINDS}
    assert set(Image.SAVE) - without_pixels <= tried
