"""Have a picture explained by a server over gRPC: `python scripts/explain_grpc.py cat.jpg`."""

import sys

import grpc
import tensorflow as tf
from serving_client import read_arguments
from serving_client import show
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

MEGABYTES = 1 << 20
LIMITS = [
    (f"grpc.max_{way}_message_length", 64 * MEGABYTES)  # gRPC's own limit is 4 MB.
    for way in ("send", "receive")
]


def main() -> int:
    arguments = read_arguments("Explain a picture over gRPC.", server="localhost:8500")
    request = PredictRequest()
    request.model_spec.name = arguments.model
    request.model_spec.signature_name = "overlay_bytes"
    picture = arguments.picture.read_bytes()
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([picture]))
    request.inputs["class_ids"].CopyFrom(tf.make_tensor_proto([arguments.class_id]))
    with grpc.insecure_channel(arguments.server, options=LIMITS) as channel:
        try:
            response = PredictionServiceStub(channel).Predict(request, arguments.timeout)
        except grpc.RpcError as error:
            print(f"{error.code().name}: {error.details()}", file=sys.stderr)
            return 1
    outputs = {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}
    show(outputs, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
