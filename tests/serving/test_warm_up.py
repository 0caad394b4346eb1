"""The warm-up file: read with TensorFlow's reader and the official protos, and what it is for."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

import guidedcam_tf as gcam
from guidedcam_tf.serving.defaults import WARM_UP_SIZES
from guidedcam_tf.serving.saved_model import EXTRA
from guidedcam_tf.serving.saved_model import WARM_UP


def requests_of(export):
    records = tf.data.TFRecordDataset(str(export / EXTRA / WARM_UP))
    return [PredictionLog.FromString(r.numpy()).predict_log.request for r in records]


def test_there_is_a_request_for_every_signature_and_batch_size(toy_export):
    requests = requests_of(toy_export)
    assert len(requests) <= 1000
    signatures = tf.saved_model.load(str(toy_export)).signatures
    assert {request.model_spec.name for request in requests} == {"toy"}
    found = [
        (r.model_spec.signature_name, next(iter(r.inputs.values())).tensor_shape.dim[0].size)
        for r in requests
    ]
    assert sorted(found) == sorted((s, size) for s in signatures for size in WARM_UP_SIZES)


def test_every_request_is_answered(toy_export):
    signatures = tf.saved_model.load(str(toy_export)).signatures
    for request in requests_of(toy_export):
        inputs = {name: tf.constant(tf.make_ndarray(t)) for name, t in request.inputs.items()}
        outputs = signatures[request.model_spec.signature_name](**inputs)
        count = len(next(iter(inputs.values())))
        assert {len(output) for output in outputs.values()} == {count}


def test_the_requests_are_made_as_the_official_classes_make_them(toy_export):
    """The bytes that are written by hand say the same as those of tensorflow-serving-api."""
    raw = next(iter(tf.data.TFRecordDataset(str(toy_export / EXTRA / WARM_UP)))).numpy()
    official = PredictionLog()
    request = official.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = "toy", "serving_default"
    grey = np.full((1, 8, 8, 3), 127, np.float32)
    for name, value in (("images", grey), ("class_ids", np.array([-1], np.int32))):
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    parsed = PredictionLog.FromString(raw)
    for name, tensor in request.inputs.items():
        written = parsed.predict_log.request.inputs[name]
        np.testing.assert_array_equal(tf.make_ndarray(written), tf.make_ndarray(tensor))
        assert written.dtype == tensor.dtype
    parsed.predict_log.request.ClearField("inputs")
    official.predict_log.request.ClearField("inputs")
    assert parsed == official


@pytest.fixture
def mobilenet_export(tmp_path):
    """The export of a network of many operations."""
    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNetV3Small((128, 128, 3), weights=None, classes=9)
    return gcam.export(gcam.Explainer(model), tmp_path / "mobilenet" / "1")


@pytest.mark.slow
def test_after_the_warm_up_the_first_request_is_as_quick_as_the_next(mobilenet_export):
    """In a fresh process; by processor time, which other work on the machine does not change."""
    code = f"""
        import statistics, sys, time
        import numpy as np, tensorflow as tf
        from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
        signatures = tf.saved_model.load({str(mobilenet_export)!r}).signatures
        def answer(request):
            inputs = {{n: tf.constant(tf.make_ndarray(t)) for n, t in request.inputs.items()}}
            signatures[request.model_spec.signature_name](**inputs)
        records = tf.data.TFRecordDataset({str(mobilenet_export / EXTRA / WARM_UP)!r})
        for record in records:
            answer(PredictionLog.FromString(record.numpy()).predict_log.request)
        images = tf.random.stateless_uniform([3, 300, 400, 3], [0, 1], 0.0, 255.0)
        files = tf.stack([tf.io.encode_jpeg(tf.cast(image, tf.uint8)) for image in images])
        ids = tf.fill([3], -1)
        for name, inputs in {{"explain": {{"images": images}},
                              "overlay_bytes": {{"image_bytes": files}}}}.items():
            times = []
            for _ in range(7):
                start = time.process_time()
                signatures[name](**inputs, class_ids=ids)
                times.append(time.process_time() - start)
            print(name, times[0] / statistics.median(times[1:]))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ratios = {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines()}
    assert set(ratios) == {"explain", "overlay_bytes"}
    assert max(ratios.values()) <= 2, ratios
