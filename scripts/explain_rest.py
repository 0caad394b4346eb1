"""Have a picture explained by a server over REST: `python scripts/explain_rest.py cat.jpg`."""

import base64
import json
import sys
import urllib.error
import urllib.request
from typing import Any

from serving_client import read_arguments
from serving_client import show


def predict(url: str, request: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Post a request in the columnar format, and return the outputs by name."""
    body = json.dumps(request).encode()
    with urllib.request.urlopen(url, data=body, timeout=timeout) as response:
        outputs = json.load(response)["outputs"]
    for name in outputs:
        if name.endswith("_bytes"):
            outputs[name] = [base64.b64decode(value["b64"]) for value in outputs[name]]
    return outputs


def main() -> int:
    arguments = read_arguments("Explain a picture over REST.", server="localhost:8501")
    encoded = base64.b64encode(arguments.picture.read_bytes()).decode()
    request = {
        "signature_name": "overlay_bytes",
        "inputs": {"image_bytes": [{"b64": encoded}], "class_ids": [arguments.class_id]},
    }
    url = f"http://{arguments.server}/v1/models/{arguments.model}:predict"
    try:
        outputs = predict(url, request, arguments.timeout)
    except urllib.error.HTTPError as error:
        print(f"{error.code}: {json.load(error)['error']}", file=sys.stderr)
        return 1
    show(outputs, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
