"""Compose and Kubernetes files: what they start is what the docs, clients and exports speak of."""

import json
import re
import subprocess
import urllib.error
import urllib.request

import pytest
import yaml
from common import REPOSITORY
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

FOLDER = REPOSITORY / "configs" / "serving"
DOCS = (REPOSITORY / "docs" / "serving.md").read_text("utf-8")
SIGNATURES = ("explain_uint8", "explain_bytes", "overlay_bytes", "predict")
IMAGES = {"tensorflow/serving": (8500, 8501), "openvino/model_server": (9000, 8000)}


def compose():
    return yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))["services"].values()


def manifests(kind):
    documents = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text("utf-8"))
    return {each["metadata"]["name"]: each for each in documents if each["kind"] == kind}


def pods():
    return [each["spec"]["template"]["spec"] for each in manifests("Deployment").values()]


def containers():
    return [container for pod in pods() for container in pod["containers"]]


def image(container):
    return container["image"].partition(":")[0]


def flags(arguments):
    return dict(argument.removeprefix("--").split("=", 1) for argument in arguments)


@pytest.mark.parametrize("arguments", ["command", "args"], ids=["compose", "kubernetes"])
def test_each_server_finds_the_model_and_its_ports(arguments):
    found = {
        image(each): flags(each[arguments]) for each in (compose, containers)[arguments == "args"]()
    }
    assert found.keys() == IMAGES.keys()
    tensorflow, openvino = (found[name] for name in IMAGES)
    for flag in ("model_config_file", "monitoring_config_file"):
        folder, _, file = tensorflow[flag].rpartition("/")
        assert folder == "/config"
        assert (FOLDER / file).is_file()
        assert f"--{flag}={tensorflow[flag]}" in DOCS
    text = (FOLDER / "models.config").read_text("utf-8")
    (model,) = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    assert (openvino["model_name"], openvino["model_path"]) == (model.name, model.base_path)
    assert (int(openvino["port"]), int(openvino["rest_port"])) == IMAGES["openvino/model_server"]
    assert json.loads(openvino["plugin_config"])["INFERENCE_PRECISION_HINT"] == "f32"


def test_compose_shows_the_ports_of_the_docs_to_this_machine_only():
    for service in compose():
        ports = IMAGES[image(service)]
        assert service["ports"] == [f"127.0.0.1:{port}:{port}" for port in ports]
        assert all(f"-p {port}:{port}" in DOCS for port in ports)
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
        models, *config = service["volumes"]
        assert models == "${MODELS:-../../models}:/models:ro"
        assert config == [".:/config:ro"] * (image(service) == "tensorflow/serving")


def test_kubernetes_services_probes_and_volumes_meet_their_containers():
    services, claims = manifests("Service"), manifests("PersistentVolumeClaim")
    for name, deployment in manifests("Deployment").items():
        spec = deployment["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"] == labels == services[name]["spec"]["selector"]
        (container,) = spec["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert tuple(ports.values()) == IMAGES[image(container)]
        for port in services[name]["spec"]["ports"]:
            assert port["port"] == ports[port["targetPort"]]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["port"] == "rest"
            assert container[probe]["httpGet"]["path"] in DOCS
        assert container["resources"].keys() == {"requests", "limits"}
        volumes = {each["name"]: each for each in spec["template"]["spec"]["volumes"]}
        assert [mount["name"] for mount in container["volumeMounts"]] == list(volumes)
        assert volumes["models"]["persistentVolumeClaim"]["claimName"] in claims
        paths = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert paths == dict(zip(volumes, ("/models", "/config"), strict=False))


def test_both_files_limit_and_thread_a_server_alike():
    for service, container in zip(compose(), containers(), strict=True):
        limits = service["deploy"]["resources"]["limits"]
        assert container["resources"]["limits"] == {
            "cpu": limits["cpus"],
            "memory": limits["memory"] + "i",
        }
        assert service["command"] == container["args"]


def test_the_health_check_is_true_of_the_served_model_alone(toy_server):
    tensorflow, openvino = (service["healthcheck"]["test"] for service in compose())
    assert "/v2/models/guidedcam/ready " in openvino[-1]
    address = toy_server.rest_address.replace(":", "/")

    def code(model):
        command = tensorflow[-1].replace("localhost/8501", address).replace("guidedcam", model)
        return subprocess.run([*tensorflow[1:-1], command], check=False, timeout=60).returncode

    assert tensorflow[0] == "CMD"
    assert code("toy") == 0
    assert code("other") != 0


def test_probes_of_tensorflow_serving_are_answered(toy_server):
    (container,) = (each for each in containers() if image(each) == "tensorflow/serving")
    for probe in ("readinessProbe", "livenessProbe"):
        url = f"http://{toy_server.rest_address}{container[probe]['httpGet']['path']}"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(url)
        with urllib.request.urlopen(url.replace("guidedcam", "toy")) as response:
            assert response.status == 200


def test_metadata_as_the_docs_ask_for_it(toy_server, capsys):
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", DOCS, re.S) if "Metadata" in block
    )
    code = code.replace("localhost:8500", toy_server.grpc_address).replace("guidedcam", "toy")
    exec(code, {})
    lines = capsys.readouterr().out.splitlines()
    assert "predict: images -> probabilities top5_indices top5_names top5_probabilities" in lines
    named = {line.partition(":")[0] for line in lines} - {"__saved_model_init_op"}
    assert named - {"serving_default"} == {"explain", *SIGNATURES}
