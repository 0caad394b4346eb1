"""Files as broken disks, networks and editors leave them: seeded changes of a few bytes."""

import struct
import zlib

import numpy as np

LONG_NUMBER = b"9" * 5000


def mutations(original, count, seed=0, within=None):
    """Yield changed copies of bytes: flips, overwritten runs, cuts, repeats, insertions.

    Args:
        original: The bytes of a good file.
        count: How many.
        seed: Of the generator.
        within: The range of bytes that are changed, by default all.
    """
    generator = np.random.default_rng(seed)
    first, last = within or (0, len(original))
    for _ in range(count):
        changed = bytearray(original)
        for _ in range(generator.integers(1, 4)):
            # Headers are short and hold most of what a reader trusts.
            width = (last - first) if generator.random() < 0.5 else min(last - first, 64)
            place = first + int(generator.integers(0, max(1, width)))
            length = int(generator.integers(1, 9))
            kind = generator.integers(0, 7 if within is None else 3)
            if kind == 0 and place < len(changed):
                changed[place] ^= 1 << int(generator.integers(0, 8))
            elif kind == 1 and place < len(changed):
                changed[place] = int(generator.choice([0, 1, 0x7F, 0x80, 0xFF]))
            elif kind == 2:
                length = min(length, len(changed) - place)
                changed[place : place + length] = generator.bytes(max(0, length))
            elif kind == 3:
                del changed[place:]
            elif kind == 4:
                del changed[place : place + length]
            elif kind == 5:
                changed[place:place] = changed[place : place + 40]
            else:
                changed[place:place] = generator.bytes(length)
        yield bytes(changed)


def text_mutations(original, count, seed=0):
    """Yield changed copies of a text: those of `mutations`, and those of editors and scripts."""
    generator = np.random.default_rng(seed)
    odd = [
        b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b'"', b"'", b"<", b">", b"&", b"{", b"[", b"]",
        b",", b"NaN", b"Infinity", b"1e999", b"-1", b"null", b"true", LONG_NUMBER, b"x" * 300,
        b"../", b"/", b"&#0;", b"<!DOCTYPE x>", "猫".encode(), b"\n\n", b"\t", b"[" * 2000, b"0.5",
    ]  # fmt: skip
    for place, changed in enumerate(mutations(original, count, seed)):
        if place % 2:
            yield changed
            continue
        start = int(generator.integers(0, len(original) + 1))
        cut = int(generator.integers(0, 6))
        yield original[:start] + odd[generator.integers(len(odd))] + original[start + cut :]


def with_repaired_crcs(png):
    """Return a PNG whose chunks have the right sums again, as far as it still has chunks."""
    parts, place = [png[:8]], 8
    while place + 8 <= len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        body = png[place + 4 : place + 8 + length]
        parts += [png[place : place + 4], body, struct.pack(">I", zlib.crc32(body))]
        place += 12 + length
    return b"".join(parts)
