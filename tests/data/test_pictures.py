"""Pictures of every kind are read as a person sees them; what is no picture is refused."""

import numpy as np
import pytest
from PIL import Image

from guidedcam_tf.data import read_picture
from guidedcam_tf.data import to_grey
from guidedcam_tf.data.decoding import MAX_PIXELS

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
PIXELS = np.array([[RED, GREEN, BLUE], [WHITE, RED, GREEN]], np.uint8)


def save(tmp_path, image, name, **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff"])
def test_rgb(tmp_path, name):
    picture = read_picture(save(tmp_path, Image.fromarray(PIXELS), name))
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, PIXELS)


def test_lossless_webp(tmp_path):
    path = save(tmp_path, Image.fromarray(PIXELS), "a.webp", lossless=True)
    np.testing.assert_array_equal(read_picture(path), PIXELS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8] = 255
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    image = Image.fromarray(np.ascontiguousarray(undo(upright)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name, options in (("a.jpg", {"quality": 100}), ("a.png", {})):
        picture = read_picture(save(tmp_path, image, name, exif=exif, **options))
        assert picture.shape == upright.shape
        assert np.abs(picture.astype(int) - upright).max() < 20


def test_exif_orientation_of_16_bits(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(np.full((4, 9), 65535, np.uint16))
    assert read_picture(save(tmp_path, image, "a.png", exif=exif)).shape == (9, 4, 3)


def test_grey(tmp_path):
    grey = np.array([[0, 100], [200, 255]], np.uint8)
    picture = read_picture(save(tmp_path, Image.fromarray(grey), "a.png"))
    np.testing.assert_array_equal(picture, np.stack([grey] * 3, axis=-1))


def test_one_bit(tmp_path):
    picture = read_picture(save(tmp_path, Image.fromarray(np.eye(3, dtype=bool)), "a.png"))
    np.testing.assert_array_equal(picture[..., 0], np.eye(3) * 255)


def test_palette(tmp_path):
    image = Image.fromarray(PIXELS).quantize(4)
    assert image.mode == "P"
    np.testing.assert_array_equal(read_picture(save(tmp_path, image, "a.png")), PIXELS)


def test_what_is_transparent_lies_on_white(tmp_path):
    alpha = np.array([[255, 0, 128], [255, 255, 0]], np.uint8)
    rgba = np.dstack([PIXELS, alpha])
    picture = read_picture(save(tmp_path, Image.fromarray(rgba), "a.png"))
    np.testing.assert_array_equal(picture[0, :2], [RED, WHITE])
    np.testing.assert_allclose(picture[0, 2], [127, 127, 255], atol=1)


def test_a_transparent_palette_lies_on_white(tmp_path):
    image = Image.fromarray(PIXELS).quantize(4)
    red = image.getpixel((0, 0))
    picture = read_picture(save(tmp_path, image, "a.png", transparency=red))
    np.testing.assert_array_equal(picture[0, 0], WHITE)
    np.testing.assert_array_equal(picture[0, 1], GREEN)


def test_grey_with_alpha_lies_on_white(tmp_path):
    image = Image.fromarray(np.array([[[0, 255], [0, 0]]] * 2, np.uint8), "LA")
    picture = read_picture(save(tmp_path, image, "a.png"))
    np.testing.assert_array_equal(picture[0], [[0, 0, 0], WHITE])


def test_16_bit_grey(tmp_path):
    levels = np.array([[0, 257], [25700, 65535]], np.uint16)
    for name in ("a.png", "a.tiff"):
        picture = read_picture(save(tmp_path, Image.fromarray(levels), name))
        np.testing.assert_array_equal(picture[..., 0], [[0, 1], [100, 255]])


def test_16_bit_rgb(tmp_path):
    import cv2

    levels = PIXELS.astype(np.uint16) * 257
    assert cv2.imwrite(str(tmp_path / "a.png"), levels[..., ::-1])
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), PIXELS)


def test_cmyk(tmp_path):
    image = Image.fromarray(np.full((8, 8, 3), RED, np.uint8)).convert("CMYK")
    for name in ("a.tiff", "a.jpg"):
        picture = read_picture(save(tmp_path, image, name))
        np.testing.assert_allclose(picture[4, 4], RED, atol=3)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_the_first_frame_of_an_animation(tmp_path, name):
    first, second = (Image.fromarray(np.full((8, 8, 3), c, np.uint8)) for c in (RED, BLUE))
    path = save(tmp_path, first, name, save_all=True, append_images=[second], duration=100)
    np.testing.assert_allclose(read_picture(path)[4, 4], RED, atol=3)


def test_arrays_and_pil_pictures():
    np.testing.assert_array_equal(read_picture(PIXELS), PIXELS)
    np.testing.assert_array_equal(read_picture(PIXELS.astype(np.float32) - 0.0), PIXELS)
    np.testing.assert_array_equal(read_picture(Image.fromarray(PIXELS)), PIXELS)


def test_grey_is_luminance():
    np.testing.assert_array_equal(to_grey(PIXELS)[0, :, 0], [76, 150, 29])


def truncated_jpeg(path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:2000])


def png_header_of_a_giant(path):
    """A PNG that only claims its size: refused before a byte of it is decoded."""
    import struct
    import zlib

    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 6_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = b"IDAT" + zlib.compress(b"\0")
    body = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + body)


BAD_FILES = {
    "missing": (lambda path: None, "does not exist"),
    "folder": (lambda path: path.mkdir(), "is a folder, expected a picture"),
    "text": (lambda path: path.write_text("hello"), "is not a picture of a kind that can be read"),
    "empty": (lambda path: path.write_bytes(b""), r"is empty \(0 bytes\)"),
    "truncated": (truncated_jpeg, "is damaged or cannot be read"),
    "one pixel": (lambda path: Image.new("RGB", (1, 1)).save(path, "PNG"), "is 1 x 1 pixels"),
    "one row": (lambda path: Image.new("RGB", (9, 1)).save(path, "PNG"), "is 9 x 1 pixels"),
    "giant": (png_header_of_a_giant, r"20000 x 6000 pixels, over the limit of 100,000,000"),
    "float": (
        lambda path: Image.new("F", (4, 4)).save(path, "TIFF"),
        "has mode F with values 0 to",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused(tmp_path, name):
    write, message = BAD_FILES[name]
    path = tmp_path / "picture"
    write(path)
    with pytest.raises(ValueError, match=message) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


BAD_ARRAYS = {
    "rank": (np.zeros((4, 4)), r"shape \[H, W, 3\]; received \(4, 4\)"),
    "channels": (np.zeros((4, 4, 4)), r"received \(4, 4, 4\)"),
    "range": (np.full((4, 4, 3), 300.0), "RGB in 0..255; received 300 to 300"),
    "nan": (np.full((4, 4, 3), np.nan), "finite numbers"),
    "one pixel": (np.zeros((1, 1, 3), np.uint8), "picture is 1 x 1 pixels"),
    "type": (17, "must be a path, a PIL picture or an array"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays_are_refused(name):
    array, message = BAD_ARRAYS[name]
    with pytest.raises(ValueError, match=message):
        read_picture(array)


def test_the_limit_is_the_documented_one():
    assert MAX_PIXELS == 100_000_000


def test_all_labelled_pictures_are_read(data_folder):
    for path in sorted((data_folder / "demo" / "images").iterdir()):
        assert read_picture(path).shape[2] == 3
