"""Over the wire: gRPC and REST through the official protos, and the clients in scripts/."""

import base64
import json
import runpy
import subprocess
import sys
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
from common import REPOSITORY
from PIL import Image
from serving.encoding import decoded
from serving.encoding import encode

from guidedcam_tf.overlay import overlay


def post(server, body):
    url = f"http://{server.rest_address}/v1/models/{server.service.name}:predict"
    with urllib.request.urlopen(url, data=json.dumps(body).encode()) as response:
        return json.load(response)


def b64(encoded):
    return {"b64": base64.b64encode(encoded).decode()}


@pytest.fixture
def file(pictures):
    return encode(pictures[0])


def live_map(explainer, picture, target):
    fitted = explainer.network.fit(picture[None]).numpy()
    return fitted, explainer.maps(fitted, [target])[0]


def test_grpc_gives_the_live_explainer_s_map(toy_server, toy_explainer, file):
    inputs = {"image_bytes": [file, file], "class_ids": [-1, 2]}
    answer = toy_server.ask("explain_bytes", inputs)
    fitted, expected = live_map(toy_explainer, decoded(file), 2)
    np.testing.assert_allclose(answer["saliency"][1], expected, atol=1e-5)
    probabilities = toy_explainer.predict(fitted)[0]
    assert answer["target"].tolist() == [probabilities.argmax(), 2]
    np.testing.assert_allclose(answer["probability"][1], probabilities[2], atol=1e-6)
    filtered = toy_server.ask("explain_bytes", inputs, ["overlay_png_bytes"])
    assert list(filtered) == ["overlay_png_bytes"]


def test_rest_rows_and_columns_give_what_grpc_gives(toy_server, toy_explainer, file):
    by_grpc = toy_server.ask("explain_bytes", {"image_bytes": [file], "class_ids": [1]})
    columns = post(
        toy_server,
        {
            "signature_name": "explain_bytes",
            "inputs": {"image_bytes": [b64(file)], "class_ids": [1]},
        },
    )["outputs"]
    (row,) = post(
        toy_server,
        {
            "signature_name": "explain_bytes",
            "instances": [{"image_bytes": b64(file), "class_ids": 1}],
        },
    )["predictions"]
    for name, values in by_grpc.items():
        if name == "overlay_png_bytes":
            assert base64.b64decode(columns[name][0]["b64"]) == values[0]
        elif name == "top5_names":
            assert columns[name] == [[value.decode() for value in values[0]]]
            assert "große Wespe" in columns[name][0]
        else:
            np.testing.assert_allclose(columns[name], values, atol=1e-6)
        assert row[name] == columns[name][0]


def test_pixels_as_json_without_a_signature_s_name(toy_server, toy_explainer, pictures):
    small = np.asarray(Image.fromarray(pictures[0]).resize((9, 7)))
    body = {"inputs": {"images": [small.tolist()], "class_ids": [0]}}
    outputs = post(toy_server, body)["outputs"]
    _, expected = live_map(toy_explainer, small, 0)
    np.testing.assert_allclose(outputs["saliency"][0], expected, atol=1e-5)


def test_rest_says_why_a_request_is_bad(toy_server, file):
    body = {
        "signature_name": "overlay_bytes",
        "inputs": {"image_bytes": [b64(file[:99])], "class_ids": [-1]},
    }
    with pytest.raises(urllib.error.HTTPError) as failure:
        post(toy_server, body)
    assert failure.value.code == 400
    assert "Invalid JPEG data" in json.load(failure.value)["error"]


def test_a_wrong_model_is_not_found(toy_server, file):
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    request = PredictRequest()
    request.model_spec.name = "other"
    with pytest.raises(grpc.RpcError) as failure:
        toy_server.stub.Predict(request, 60)
    assert failure.value.code() == grpc.StatusCode.NOT_FOUND


CLIENTS = {"explain_rest.py": "rest_address", "explain_grpc.py": "grpc_address"}


@pytest.mark.parametrize("script", CLIENTS)
def test_the_clients_print_the_top_5_and_write_the_overlay(
    toy_server, toy_explainer, file, tmp_path, monkeypatch, script
):
    (tmp_path / "cat.jpg").write_bytes(file)
    command = [str(REPOSITORY / "scripts" / script), "cat.jpg", "--model", "toy"]
    command += ["--server", getattr(toy_server, CLIENTS[script]), "--class-id"]
    done = subprocess.run(
        [sys.executable, *command, "1", "--out", "seen.png"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    fitted, expected = live_map(toy_explainer, decoded(file), 1)
    probabilities = toy_explainer.predict(fitted)[0]
    best = toy_explainer.network.classes.names[probabilities.argmax()]
    assert done.stdout.splitlines()[0].split() == [f"{probabilities.max():.2%}", *best.split()]
    assert len(done.stdout.splitlines()) == 3 + 1
    drawn = np.asarray(Image.open(tmp_path / "seen.png")).astype(int)
    shown = np.round(fitted[0]).astype(np.uint8)
    assert np.abs(drawn - overlay(shown, expected)).max() <= 4
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    monkeypatch.setattr(sys, "argv", [*command, "3"])
    with pytest.raises(SystemExit, match="class_ids must be 0 to 2"):
        runpy.run_path(command[0], run_name="__main__")
