"""A small PredictionService that serves a SavedModel, over gRPC and over REST, in this process.

It stands in for `tensorflow_model_server`: the same protos, the same URL and JSON forms, the same
error codes; so a client cannot tell the two apart.
"""

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceServicer
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub
from tensorflow_serving.apis.prediction_service_pb2_grpc import (
    add_PredictionServiceServicer_to_server,
)

LIMITS = [(f"grpc.max_{way}_message_length", 1 << 26) for way in ("send", "receive")]
HTTP_CODES = {grpc.StatusCode.INVALID_ARGUMENT: 400, grpc.StatusCode.NOT_FOUND: 404}


class Service(PredictionServiceServicer):
    """Answers `Predict` and `GetModelMetadata` with the signatures of one SavedModel."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.signatures = tf.saved_model.load(str(folder)).signatures

    def Predict(self, request, context):  # noqa: N802 - gRPC's name
        if request.model_spec.name != self.name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.model_spec.name!r}")
        signature = self.signatures[request.model_spec.signature_name or "serving_default"]
        inputs = {name: tf.constant(tf.make_ndarray(t)) for name, t in request.inputs.items()}
        try:
            outputs = signature(**inputs)
        except tf.errors.InvalidArgumentError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
        response = PredictResponse()
        for name in request.output_filter or outputs:
            response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name].numpy()))
        return response

    def GetModelMetadata(self, request, context):  # noqa: N802 - gRPC's name
        if request.model_spec.name != self.name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.model_spec.name!r}")
        saved = SavedModel.FromString((self.folder / "saved_model.pb").read_bytes())
        signatures = SignatureDefMap(signature_def=saved.meta_graphs[0].signature_def)
        response = GetModelMetadataResponse(model_spec=request.model_spec)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def dtypes(self, signature):
        specs = self.signatures[signature].structured_input_signature[1]
        return {name: spec.dtype for name, spec in specs.items()}


class Server:
    """Serves a SavedModel at `grpc_address` and `rest_address` while its `with` block runs."""

    def __init__(self, name, folder):
        self.service = Service(name, folder)
        self._grpc = grpc.server(ThreadPoolExecutor(16), options=LIMITS)
        add_PredictionServiceServicer_to_server(self.service, self._grpc)
        self.grpc_address = f"localhost:{self._grpc.add_insecure_port('localhost:0')}"
        self._http = ThreadingHTTPServer(("localhost", 0), _handler(self))
        self.rest_address = f"localhost:{self._http.server_address[1]}"

    def __enter__(self):
        self._grpc.start()
        self._thread = threading.Thread(target=self._http.serve_forever)
        self._thread.start()
        self.channel = grpc.insecure_channel(self.grpc_address, options=LIMITS)
        self.stub = PredictionServiceStub(self.channel)
        return self

    def __exit__(self, *_):
        self.channel.close()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._grpc.stop(None).wait()

    def ask(self, signature, inputs, output_filter=()):
        """Ask over gRPC; outputs as arrays by name."""
        request = PredictRequest(output_filter=output_filter)
        request.model_spec.name = self.service.name
        request.model_spec.signature_name = signature
        dtypes = self.service.dtypes(signature)
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value, dtype=dtypes[name]))
        response = self.stub.Predict(request, 300)
        return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = self.path.removeprefix("/v1/models/").removesuffix(":predict")
            signature = body.get("signature_name", "serving_default")
            try:
                response = server.stub.Predict(
                    to_proto(name, signature, body, server.service.dtypes(signature)), 300
                )
            except grpc.RpcError as error:
                self._reply(HTTP_CODES[error.code()], {"error": error.details()})
                return
            self._reply(200, to_json(response, by_row="instances" in body))

        def do_GET(self):
            name, _, asked = self.path.removeprefix("/v1/models/").partition("/")
            request = GetModelMetadataRequest(metadata_field=["signature_def"])
            request.model_spec.name = name
            try:
                response = server.stub.GetModelMetadata(request, 60)
            except grpc.RpcError as error:
                self._reply(HTTP_CODES[error.code()], {"error": error.details()})
                return
            available = {"model_version_status": [{"version": "1", "state": "AVAILABLE"}]}
            metadata = MessageToDict(response, preserving_proto_field_name=True)
            self._reply(200, {"": available, "metadata": metadata}[asked])

        def _reply(self, code, content):
            encoded = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, *_):
            pass

    return Handler


def to_proto(name, signature, body, dtypes):
    """A REST body, in rows or in columns, as a `PredictRequest`."""
    columns = body.get("inputs")
    if columns is None:
        columns = {key: [row[key] for row in body["instances"]] for key in dtypes}
    request = PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, value in columns.items():
        decoded = [base64.b64decode(v["b64"]) if isinstance(v, dict) else v for v in value]
        request.inputs[key].CopyFrom(tf.make_tensor_proto(decoded, dtype=dtypes[key]))
    return request


def to_json(response, *, by_row):
    """A `PredictResponse` as a REST reply, in rows or in columns."""
    outputs = {
        name: _encode(name, tf.make_ndarray(tensor)) for name, tensor in response.outputs.items()
    }
    if not by_row:
        return {"outputs": outputs}
    count = len(next(iter(outputs.values())))
    return {"predictions": [{n: values[i] for n, values in outputs.items()} for i in range(count)]}


def _encode(name, array):
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(value).decode()} for value in array]
    return (
        np.char.decode(array.astype(bytes), "utf-8").tolist()
        if array.dtype == object
        else (array.tolist())
    )
