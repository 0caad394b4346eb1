"""A small PNG writer, for depths and chunks that Pillow does not write."""

import struct
import zlib

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(values, depth=8, colour=None, before=(), after=()):
    """Encode samples `[H, W]` or `[H, W, C]` of so many bits as a PNG.

    Args:
        values: The samples as the file holds them, 0 to 2^depth - 1.
        depth: 1, 2, 4, 8 or 16 bits a sample.
        colour: The PNG colour type, by default that of the number of channels.
        before: Chunks before the pixels, (name, data).
        after: Chunks after them.
    """
    values = np.asarray(values)
    channels = 1 if values.ndim == 2 else values.shape[2]
    colour = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGBA}[channels] if colour is None else colour
    height, width = values.shape[:2]
    if depth == 16:
        rows = values.reshape(height, -1).astype(">u2").view(np.uint8)
    else:
        bits = np.unpackbits(values.reshape(height, -1, 1).astype(np.uint8), axis=2)[..., -depth:]
        rows = np.packbits(bits.reshape(height, -1), axis=1)
    pixels = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *before, (b"IDAT", zlib.compress(pixels)), *after, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*entry) for entry in chunks)
