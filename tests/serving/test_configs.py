"""configs/serving: the files that tensorflow_model_server reads, parsed as it parses them."""

import pytest
from common import REPOSITORY
from google.protobuf import descriptor_pb2
from google.protobuf import descriptor_pool
from google.protobuf import message_factory
from google.protobuf import text_format
from google.protobuf import wrappers_pb2
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

FOLDER = REPOSITORY / "configs" / "serving"
FIELD = descriptor_pb2.FieldDescriptorProto


@pytest.fixture(scope="module")
def messages():
    """BatchingParameters and MonitoringConfig, which tensorflow-serving-api does not bring.

    From session_bundle_config.proto and monitoring_config.proto of tensorflow/serving.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="two.proto",
        package="two",
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    batching = file.message_type.add(name="BatchingParameters")
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    for number, name in enumerate(names, start=1):
        batching.field.add(
            name=name,
            number=number,
            label=FIELD.LABEL_OPTIONAL,
            type=FIELD.TYPE_MESSAGE,
            type_name=".google.protobuf.Int64Value",
        )
    batching.field.add(
        name="allowed_batch_sizes", number=6, label=FIELD.LABEL_REPEATED, type=FIELD.TYPE_INT64
    )
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, label=FIELD.LABEL_OPTIONAL, type=FIELD.TYPE_BOOL)
    prometheus.field.add(name="path", number=2, label=FIELD.LABEL_OPTIONAL, type=FIELD.TYPE_STRING)
    monitoring = file.message_type.add(name="MonitoringConfig")
    monitoring.field.add(
        name="prometheus_config",
        number=1,
        label=FIELD.LABEL_OPTIONAL,
        type=FIELD.TYPE_MESSAGE,
        type_name=".two.PrometheusConfig",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"two.{name}"))
        for name in ("BatchingParameters", "MonitoringConfig")
    }


def parse(name, message):
    return text_format.Parse((FOLDER / name).read_text("utf-8"), message)


def test_models():
    (config,) = parse("models.config", ModelServerConfig()).model_config_list.config
    assert config.model_platform == "tensorflow"
    assert config.base_path == f"/models/{config.name}"
    assert config.model_version_policy.latest.num_versions == 2


def test_batching(messages):
    batching = parse("batching.config", messages["BatchingParameters"]())
    sizes = list(batching.allowed_batch_sizes)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == batching.max_batch_size.value
    assert batching.HasField("batch_timeout_micros")


def test_monitoring(messages):
    monitoring = parse("monitoring.config", messages["MonitoringConfig"]())
    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path.startswith("/")
