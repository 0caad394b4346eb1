"""Pictures of every depth and packing keep their range, or are refused by name."""

import struct

import cv2
import numpy as np
import pytest
from PIL import Image
from png import PALETTE
from png import png

from guidedcam_tf.data import read_picture
from guidedcam_tf.errors import InputError


def read(tmp_path, encoded):
    (tmp_path / "picture").write_bytes(encoded)
    return read_picture(tmp_path / "picture")


@pytest.fixture
def deep(rng):
    """16-bit samples of the whole range, `[6, 9, 4]`."""
    values = rng.integers(0, 65536, (6, 9, 4)).astype(np.uint16)
    values[0, 0], values[0, 1] = 0, 65535
    return values


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_grey_of_few_bits_fills_the_range(tmp_path, rng, depth):
    samples = rng.integers(0, 2**depth, (5, 11))
    expected = samples * 255 // (2**depth - 1)
    np.testing.assert_array_equal(read(tmp_path, png(samples, depth))[..., 0], expected)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_transparent_grey_lies_on_white(tmp_path, rng, depth):
    samples = rng.integers(0, 2**depth, (5, 11))
    expected = np.where(samples == 1, 255, samples * 255 // (2**depth - 1))
    encoded = png(samples, depth, before=[(b"tRNS", struct.pack(">H", 1))])
    np.testing.assert_array_equal(read(tmp_path, encoded)[..., 1], expected)


def test_a_transparent_grey_of_16_bits_lies_on_white(tmp_path, deep):
    grey = deep[..., 0]
    encoded = png(grey, 16, before=[(b"tRNS", struct.pack(">H", grey[2, 3]))])
    expected = np.round(grey / 257)
    expected[grey == grey[2, 3]] = 255
    np.testing.assert_array_equal(read(tmp_path, encoded)[..., 2], expected)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palettes_of_few_bits(tmp_path, rng, depth):
    colours = rng.integers(0, 256, (2**depth, 3)).astype(np.uint8)
    samples = rng.integers(0, 2**depth, (5, 11))
    encoded = png(samples, depth, PALETTE, before=[(b"PLTE", colours.tobytes())])
    np.testing.assert_array_equal(read(tmp_path, encoded), colours[samples])


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bit_colour_keeps_its_range(tmp_path, deep, suffix):
    path = tmp_path / f"a{suffix}"
    assert cv2.imwrite(str(path), deep[..., 2::-1])
    assert np.abs(read_picture(path) - deep[..., :3] / 257).max() <= 1


def test_16_bits_with_alpha_lie_on_white(tmp_path, deep):
    opacity = deep[..., 3:] / 65535
    for channels in (1, 3):
        colour = deep[..., :channels]
        read_back = read(tmp_path, png(np.concatenate([colour, deep[..., 3:]], axis=-1), 16))
        expected = colour / 257 * opacity + 255 * (1 - opacity)
        assert np.abs(read_back - expected).max() <= 2


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_16_bit_grey_tiff_of_either_byte_order(tmp_path, deep, byte_order):
    grey = deep[..., 0]
    np.testing.assert_array_equal(
        read(tmp_path, tiff(grey, 16, byte_order))[..., 0], np.round(grey / 257)
    )


def test_a_tiff_that_says_it_has_12_bits(tmp_path, deep):
    twelve = deep[:, :8, 0] >> 4
    expected = np.round(twelve * (255 / 4095))
    np.testing.assert_array_equal(read(tmp_path, tiff(twelve, 12, "<"))[..., 0], expected)


def tiff(values, bits, order):
    """A TIFF of one strip of grey samples."""
    height, width = values.shape
    if bits == 16:
        pixels = values.astype(f"{order}u2").tobytes()
    else:
        as_bits = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(height, width, 2), -1)
        pixels = np.packbits(as_bits[..., -bits:].reshape(height, -1), axis=1).tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 200, 277: 1, 278: height}
    tags[279] = len(pixels)
    entries = b"".join(struct.pack(f"{order}HHIHH", t, 3, 1, v, 0) for t, v in tags.items())
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    head = mark + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + pixels


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_12_bits_in_a_file_of_16_are_refused(tmp_path, deep, channels):
    samples = deep[..., :channels] >> 4
    samples[..., 0] |= 256
    if channels in (2, 4):
        samples[..., -1] = 65535
    with pytest.raises(InputError, match=r"16 bits a channel but holds no value over .* 12 bits"):
        read(tmp_path, png(samples, 16))


def test_a_black_picture_of_16_bits_is_black(tmp_path):
    assert not read(tmp_path, png(np.zeros((3, 4, 3)), 16)).any()


def test_a_transparent_colour_of_16_bits_is_refused(tmp_path, deep):
    encoded = png(deep[..., :3], 16, before=[(b"tRNS", bytes(6))])
    with pytest.raises(InputError, match="transparent colour of 16 bits a channel"):
        read(tmp_path, encoded)


@pytest.mark.parametrize("kind", ["TIFF", "PFM"])
def test_floats_are_refused_with_their_range(tmp_path, kind):
    image = Image.fromarray(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4))
    image.save(tmp_path / "picture", "TIFF" if kind == "TIFF" else "PPM")
    with pytest.raises(InputError, match=r"has mode F with values 0 to 1; .* pass an array"):
        read_picture(tmp_path / "picture")


@pytest.mark.parametrize(
    ("array", "hint"),
    [
        (np.full((4, 4, 3), 0.5), "multiply it by 255"),
        (np.ones((4, 4, 3), np.float32), "multiply it by 255"),
        (np.eye(4, dtype=int)[..., None].repeat(3, 2), "multiply it by 255"),
        (np.linspace(-1, 1, 48).reshape(4, 4, 3), "clip or scale it"),
        (np.linspace(-120, 140, 48).reshape(4, 4, 3), "clip or scale it"),
    ],
)
def test_scaled_arrays_are_refused(array, hint):
    with pytest.raises(InputError, match=f"RGB in 0..255; received .*: {hint}"):
        read_picture(array)


def test_what_resampling_leaves_is_clipped():
    array = np.array([[[-0.4, 255.3, 7]] * 3] * 2)
    np.testing.assert_array_equal(read_picture(array)[0, 0], [0, 255, 7])


def test_postscript_is_not_run(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.eps")
    with pytest.raises(InputError, match="PostScript, a program that is not run"):
        read_picture(tmp_path / "a.eps")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(InputError, match=r"cannot be read|does not exist"):
        read_picture(name)
