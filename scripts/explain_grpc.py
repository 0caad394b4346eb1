"""Have a picture explained by a server over gRPC: `python scripts/explain_grpc.py cat.jpg`."""

from serving_client import in_short
from serving_client import no_answer
from serving_client import read_arguments
from serving_client import show

try:
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub
except ImportError as error:
    raise SystemExit(f"{error}; pip install 'guidedcam-tf[serving]' brings it") from None

MEGABYTES = 1 << 20
LIMITS = [
    (f"grpc.max_{way}_message_length", 64 * MEGABYTES)  # gRPC's own limit is 4 MB.
    for way in ("send", "receive")
]
NO_SERVER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def main() -> None:
    arguments, picture = read_arguments("Explain a picture over gRPC.", server="localhost:8500")
    request = PredictRequest()
    request.model_spec.name = arguments.model
    request.model_spec.signature_name = "overlay_bytes"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([picture]))
    request.inputs["class_ids"].CopyFrom(tf.make_tensor_proto([arguments.class_id], tf.int32))
    with grpc.insecure_channel(arguments.server, options=LIMITS) as channel:
        try:
            response = PredictionServiceStub(channel).Predict(request, arguments.timeout)
        except grpc.RpcError as error:
            if error.code() in NO_SERVER:
                raise no_answer(arguments.server, error.details()) from None
            raise SystemExit(f"{error.code().name}: {in_short(error.details())}") from None
    outputs = {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}
    show(outputs, arguments.out)


if __name__ == "__main__":
    main()
