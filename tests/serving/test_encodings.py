"""Every encoding that the live explainer and a server both take comes to the same pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from png import PALETTE
from png import png

from guidedcam_tf.data import read_picture
from guidedcam_tf.errors import InputError
from guidedcam_tf.serving.decoding import decode

GENERATOR = np.random.default_rng(5)
DEEP = GENERATOR.integers(0, 65536, (7, 12, 4)).astype(np.uint16)
BYTES = (DEEP >> 8).astype(np.uint8)
COLOURS = GENERATOR.integers(0, 256, (16, 3)).astype(np.uint8)


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
def served(encoded):
    spec = tf.TensorSpec([None, None, 3], tf.uint8)
    return decode(encoded, lambda picture: picture, spec, max_pixels=10**6)


def few_bits(depth, colour=None, transparent=None):
    chunks = [(b"PLTE", COLOURS[: 2**depth].tobytes())] if colour == PALETTE else []
    chunks += [(b"tRNS", transparent)] if transparent else []
    return png(BYTES[..., 0] >> (8 - depth), depth, colour, before=chunks)


def jpeg(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def exif(orientation, byte_order=">", kind=3):
    """An EXIF block with a few tags about the orientation."""
    value = struct.pack(f"{byte_order}HH", orientation, 0)
    if kind == 4:
        value = struct.pack(f"{byte_order}I", orientation)
    entries = [(0x010F, 2, 4, b"cam\0"), (0x0112, kind, 1, value), (0x0128, 3, 1, bytes(4))]
    table = b"".join(struct.pack(f"{byte_order}HHI", *entry[:3]) + entry[3] for entry in entries)
    mark = {"<": b"II*\0", ">": b"MM\0*"}[byte_order]
    return mark + struct.pack(f"{byte_order}IH", 8, len(entries)) + table + bytes(4)


def with_segment(encoded, marker, body):
    segment = b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body
    return encoded[:2] + segment + encoded[2:]


RGB = Image.fromarray(BYTES[..., :3])
PHOTO = jpeg(Image.fromarray(np.kron(BYTES[..., :3], np.ones((8, 8, 1), np.uint8))))
XMP = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="%d"/>'

SAME = {
    **{f"grey of {bits} bits": few_bits(bits) for bits in (1, 2, 4, 8)},
    **{f"palette of {bits} bits": few_bits(bits, PALETTE) for bits in (1, 2, 4)},
    **{
        f"palette of {bits} bits, transparent": few_bits(bits, PALETTE, b"\x30\xff")
        for bits in (1, 2, 4)
    },
    **{
        f"grey of {bits} bits, one transparent": few_bits(bits, None, b"\0\1")
        for bits in (1, 2, 4, 8)
    },
    "16-bit grey": png(DEEP[..., 0], 16),
    "16-bit grey, one transparent": png(
        DEEP[..., 0], 16, before=[(b"tRNS", DEEP[3, 3, :1].astype(">u2").tobytes())]
    ),
    "16-bit grey with alpha": png(DEEP[..., :2], 16),
    "16-bit RGB": png(DEEP[..., :3], 16),
    "16-bit RGBA": png(DEEP, 16),
    "16-bit black": png(DEEP[..., :3] * 0, 16),
    "RGB, one transparent": png(
        BYTES[..., :3], before=[(b"tRNS", BYTES[2, 2, :3].astype(">u2").tobytes())]
    ),
    "RGBA": png(BYTES),
    "grey with alpha": png(BYTES[..., :2]),
    **{
        f"PNG turned by {number}": png(BYTES[..., :3], before=[(b"eXIf", exif(number))])
        for number in range(1, 9)
    },
    "PNG turned after its pixels": png(BYTES[..., :3], after=[(b"eXIf", exif(6, "<"))]),
    **{
        f"JPEG turned by {number}": with_segment(
            PHOTO, 0xE1, b"Exif\0\0" + exif(number, "<>"[number % 2], 3 + number // 5)
        )
        for number in range(9)
    },
    "EXIF after other segments": with_segment(
        with_segment(PHOTO, 0xE1, b"Exif\0\0" + exif(8)), 0xE2, b"ICC_PROFILE\0" + bytes(60_000)
    ),
    "XMP upright": with_segment(PHOTO, 0xE1, XMP % 1),
    "EXIF before XMP": with_segment(
        with_segment(PHOTO, 0xE1, XMP % 3), 0xE1, b"Exif\0\0" + exif(6)
    ),
    "cut EXIF": with_segment(PHOTO, 0xE1, b"Exif\0\0" + exif(6)[:12]),
    "EXIF beyond its end": with_segment(PHOTO, 0xE1, b"Exif\0\0MM\0*\x7f\xff\xff\xff"),
    "progressive": jpeg(RGB, progressive=True),
    "grey JPEG": jpeg(RGB.convert("L")),
    "CMYK JPEG": jpeg(RGB.convert("CMYK")),
    "JPEG with a comment": with_segment(PHOTO, 0xFE, b"a comment"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", SAME)
def test_pixels_are_those_of_the_live_explainer(tmp_path, kind):
    (tmp_path / "picture").write_bytes(SAME[kind])
    expected = read_picture(tmp_path / "picture")
    np.testing.assert_array_equal(served(tf.constant([SAME[kind]]))[0].numpy(), expected)


def test_pictures_of_a_request_are_turned_each_by_itself():
    turned = [SAME[f"PNG turned by {number}"] for number in (1, 3, 2)]
    pixels = served(tf.constant(turned)).numpy()
    stored = BYTES[..., :3]
    np.testing.assert_array_equal(pixels, [stored, stored[::-1, ::-1], stored[:, ::-1]])


REFUSED = {
    "12-bit grey": (png(DEEP[..., 0] >> 4, 16), "row 0 has 16 bits .* no value over .* 12 bits"),
    "12-bit RGB": (png(DEEP[..., :3] >> 4, 16), "row 0 has 16 bits"),
    "12-bit RGBA": (png(np.dstack([DEEP[..., :3] >> 4, DEEP[..., 3]]), 16), "row 0 has 16 bits"),
    "16-bit transparent colour": (
        png(DEEP[..., :3], 16, before=[(b"tRNS", bytes(6))]),
        "transparent colour of 16 bits",
    ),
    "XMP orientation": (with_segment(PHOTO, 0xE1, XMP % 6), "orientation in XMP"),
    "raw profile": (
        png(
            BYTES[..., :3],
            before=[(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n"))],
        ),
        "or in a raw profile",
    ),
    "XMP of a PNG": (
        png(BYTES, after=[(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + XMP % 8)]),
        "orientation in XMP",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_right_is_refused_by_name(kind):
    encoded, reason = REFUSED[kind]
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        served(tf.constant([encoded]))


def test_the_live_explainer_refuses_12_bits_too(tmp_path):
    (tmp_path / "picture").write_bytes(REFUSED["12-bit RGBA"][0])
    with pytest.raises(InputError, match="16 bits a channel"):
        read_picture(tmp_path / "picture")


@pytest.mark.parametrize("kind", ["PNG turned by 6", "JPEG turned by 6"])
def test_damaged_parts_end_the_walk(kind):
    """Lengths that lead anywhere: an answer or a refusal, and no endless loop."""
    original = SAME[kind]
    generator = np.random.default_rng(2)
    for _ in range(150):
        changed = bytearray(original)
        for place in generator.integers(8, 200, 3):
            changed[place % len(changed)] = generator.choice([0, 1, 0x7F, 0x80, 0xFF])
        try:
            served(tf.constant([bytes(changed)]))
        except tf.errors.InvalidArgumentError as error:
            assert str(error)


def test_grey_of_16_bits_is_refused_for_a_network_that_takes_its_range():
    """`Explainer.explain` gives such a network 0..65535; a server decodes to 8 bits."""
    spec = tf.TensorSpec([None, None, 3], tf.uint8)
    for encoded, refused in ((png(DEEP[..., 0], 16), True), (png(BYTES[..., 0]), False)):
        call = tf.function(
            lambda row: decode(row, lambda picture: picture, spec, 10**6, deep_grey=False),
            autograph=False,
        )
        if not refused:
            assert call(tf.constant([encoded])).shape == (1, 7, 12, 3)
            continue
        with pytest.raises(tf.errors.InvalidArgumentError, match="row 0 is grey of 16 bits"):
            call(tf.constant([encoded]))
