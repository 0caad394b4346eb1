"""Requests: what is refused, and with which words; and that nothing else suffers from it."""

import io
import re
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from serving.encoding import encode

from guidedcam_tf.data import read_picture
from guidedcam_tf.data import to_grey
from guidedcam_tf.serving.decoding import decode
from guidedcam_tf.serving.endpoints import _to_grey
from guidedcam_tf.serving.merging import merged

SMALL = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
JPEG, PNG = encode(SMALL), encode(SMALL, "PNG")
WIDE = np.zeros((1, 600, 600, 3), np.float32)


def jpeg_of_size(height, width):
    """A JPEG whose header claims another size than its data have."""
    start = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:start] + struct.pack(">HH", height, width) + JPEG[start + 4 :]


def png_of_size(height, width):
    return PNG[:16] + struct.pack(">II", width, height) + PNG[24:]


def explain_bytes(*pictures, ids=None):
    ids = [-1] * len(pictures) if ids is None else ids
    return "explain_bytes", {
        "image_bytes": np.array(pictures, object),
        "class_ids": np.array(ids, np.int32),
    }


def explain(images, ids):
    return "explain", {"images": images, "class_ids": np.array(ids, np.int32)}


GOOD = explain_bytes(JPEG, PNG)
BAD = {
    "no picture": (
        explain_bytes(JPEG, b"hello"),
        r"row 1 \(5 bytes\) is not a JPEG or PNG picture",
    ),
    "no bytes": (explain_bytes(b""), r"row 0 \(0 bytes\) is not a JPEG or PNG picture"),
    "a GIF": (explain_bytes(encode(SMALL, "GIF")), "row 0 .* is not a JPEG or PNG picture"),
    "truncated JPEG": (explain_bytes(JPEG, JPEG[:-40]), "Invalid JPEG data"),
    "JPEG without its end": (explain_bytes(JPEG[:-2]), "Invalid JPEG data"),
    "JPEG header only": (explain_bytes(JPEG[:20]), "Invalid JPEG data"),
    "truncated PNG": (explain_bytes(PNG[:-40]), "Invalid PNG data"),
    "PNG header only": (
        explain_bytes(PNG[:20]),
        r"row 0 \(20 bytes\) is not a JPEG or PNG picture",
    ),
    "large JPEG": (
        explain_bytes(JPEG, jpeg_of_size(300, 400)),
        "picture in row 1 is 400 x 300 pixels, over the limit of 80,000 pixels",
    ),
    "large PNG": (
        explain_bytes(png_of_size(60_000, 50_000)),
        "picture in row 0 is 50000 x 60000 pixels, over the limit of 80,000 pixels",
    ),
    "endless PNG": (explain_bytes(png_of_size(2**32 - 1, 2**32 - 1)), "over the limit"),
    "PNG of one row": (explain_bytes(png_of_size(1, 50)), "50 x 1 pixels; expected at least 2 x 2"),
    "target too high": (
        explain_bytes(JPEG, ids=[3]),
        r"class_ids must be 0 to 2, or -1 for the best class; received \[3\]",
    ),
    "target too low": (explain_bytes(JPEG, JPEG, ids=[0, -2]), r"received \[0 -2\]"),
    "too few targets": (explain_bytes(JPEG, JPEG, ids=[0]), "one entry .* received 1 for 2"),
    "empty batch": (explain_bytes(), "the batch is empty"),
    "large image": (explain(WIDE, [0]), "600 x 600 pixels, over the limit of 80,000 pixels"),
    "image of one row": (explain(WIDE[:, :1], [0]), "600 x 1 pixels; expected at least 2 x 2"),
    "grey image": (explain(WIDE[:, :9, :9, :1], [0]), "must have 3 channels; received 1"),
    "image with alpha": (
        explain(np.repeat(WIDE[:, :9, :9, :1], 4, 3), [0]),
        "images must have 3 channels; received 4",
    ),
    "NaN": (explain(WIDE[:, :9, :9] * np.nan, [0]), "images must be finite"),
    "floats in 0..1": (
        explain(np.concatenate([WIDE[:, :9, :9] + 1, WIDE[:, :9, :9] + 90]), [0, 0]),
        r"RGB in 0..255, not scaled; received 1 to 90",
    ),
    "negative floats": (explain(WIDE[:, :9, :9] - 2, [0]), "not scaled; received -2 to -2"),
    "image's target": (explain(WIDE[:, :9, :9], [7]), r"received \[7\]"),
    "empty images": (explain(WIDE[:0, :9, :9], []), "the batch is empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_fails_alone_with_its_reason(toy_server, name):
    (signature, inputs), reason = BAD[name]
    before = toy_server.ask(*GOOD)
    with pytest.raises(grpc.RpcError) as failure:
        toy_server.ask(signature, inputs)
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert re.search(reason, failure.value.details())
    after = toy_server.ask(*GOOD)
    np.testing.assert_array_equal(before["saliency"], after["saliency"])


def test_requests_that_run_together_fail_and_succeed_apart(toy_server, pictures):
    """Many at a time, every third one bad: the good ones get what they get when alone."""
    good = [encode(picture) for picture in pictures]
    alone = [toy_server.ask(*explain_bytes(jpeg))["saliency"] for jpeg in good]
    count = len(good)
    jobs = [good[place % count][: None if place % 3 else -9] for place in range(96)]
    with ThreadPoolExecutor(16) as threads:
        futures = [threads.submit(toy_server.ask, *explain_bytes(jpeg)) for jpeg in jobs]
    for place, future in enumerate(futures):
        if place % 3:
            answer = future.result()["saliency"]
            np.testing.assert_allclose(answer, alone[place % count], atol=1e-5)
        else:
            assert future.exception().code() == grpc.StatusCode.INVALID_ARGUMENT
            assert "Invalid JPEG data" in future.exception().details()


def test_rows_of_concurrent_calls_are_merged():
    """Calls that queue up behind a slow one run together; each gets its own rows."""

    def slow(rows):
        count = tf.shape(rows)[0]
        time_taken = tf.py_function(lambda: time.sleep(0.05) or 0.0, [], tf.float32)
        return {"double": 2 * rows + time_taken, "together": tf.fill([count], count)}

    signature = [tf.TensorSpec([None], tf.float32)]
    call = tf.function(merged(slow, signature, size=4), input_signature=signature)
    with ThreadPoolExecutor(24) as threads:
        answers = list(threads.map(lambda i: call(tf.constant([i, -i], tf.float32)), range(24)))
    for i, answer in enumerate(answers):
        np.testing.assert_array_equal(answer["double"], [2 * i, -2 * i])
    sizes = {int(size) for answer in answers for size in answer["together"]}
    assert max(sizes) == 4
    long = call(tf.range(11, dtype=tf.float32))
    np.testing.assert_array_equal(long["double"], 2 * np.arange(11))
    assert long["together"].numpy().max() <= 4


@pytest.mark.parametrize("signature", ["explain", "explain_uint8", "explain_bytes"])
def test_no_row_changes_another(toy_server, pictures, signature):
    """A picture's outputs are the same in the company of others, black and white ones too."""
    size = (50, 60)
    mine = np.asarray(Image.fromarray(pictures[0]).resize(size[::-1]))
    black, white = np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)
    other = np.asarray(Image.fromarray(pictures[1]).resize(size[::-1]))
    answers = [
        ask_tensors(toy_server, signature, company)
        for company in ([mine], [mine, black, white], [mine, other], [mine] * 7)
    ]
    for answer in answers[1:]:
        for name, values in answers[0].items():
            if values.dtype == object:
                assert values[0].tolist() == answer[name][0].tolist()
            else:
                np.testing.assert_allclose(values[0], answer[name][0], atol=1e-5)


def ask_tensors(server, signature, company):
    ids = [-1] * len(company)
    if signature == "explain_bytes":
        files = [encode(picture, "PNG") for picture in company]
        answer = server.ask(*explain_bytes(*files, ids=ids))
        return {n: v for n, v in answer.items() if n != "overlay_png_bytes"}
    return server.ask(signature, {"images": np.stack(company), "class_ids": ids})


KINDS = {
    "JPEG": lambda pixels: encode(pixels),
    "grey JPEG": lambda pixels: encode(pixels[..., 1]),
    "PNG": lambda pixels: encode(pixels, "PNG"),
    "grey PNG": lambda pixels: encode(pixels[..., 1], "PNG"),
    "PNG with transparency": lambda pixels: encode(
        np.concatenate([pixels, pixels[::-1, ::-1, :1]], axis=-1), "PNG"
    ),
    "palette PNG": lambda pixels: palette_png(pixels),
}


def palette_png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).quantize(17).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_decoded_as_the_live_explainer_reads_them(pictures, kind, tmp_path):
    encoded = KINDS[kind](pictures[0])
    (tmp_path / "picture").write_bytes(encoded)
    expected = read_picture(tmp_path / "picture").astype(int)
    spec = tf.TensorSpec([None, None, 3], tf.uint8)
    pixels = decode(tf.constant([encoded]), lambda picture: picture, spec, max_pixels=10**6)[0]
    np.testing.assert_array_equal(pixels, expected)


def test_grey_is_the_live_explainer_s_grey(pictures):
    np.testing.assert_array_equal(_to_grey(tf.constant(pictures[0])), to_grey(pictures[0]))
