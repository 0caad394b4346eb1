"""Have a picture explained by a server over REST: `python scripts/explain_rest.py cat.jpg`."""

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from serving_client import in_short
from serving_client import no_answer
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


def reason(error: urllib.error.HTTPError) -> str:
    """Read why a request was refused; a proxy in between may say it in another form."""
    said = error.read().decode(errors="replace")
    try:
        return in_short(json.loads(said)["error"])
    except (ValueError, LookupError, TypeError):
        return in_short(said) or error.reason


def main() -> None:
    arguments, picture = read_arguments("Explain a picture over REST.", server="localhost:8501")
    encoded = base64.b64encode(picture).decode()
    request = {
        "signature_name": "overlay_bytes",
        "inputs": {"image_bytes": [{"b64": encoded}], "class_ids": [arguments.class_id]},
    }
    model = urllib.parse.quote(arguments.model, safe="")
    url = f"http://{arguments.server}/v1/models/{model}:predict"
    try:
        outputs = predict(url, request, arguments.timeout)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{error.code}: {reason(error)}") from None
    except urllib.error.URLError as error:
        raise no_answer(arguments.server, error.reason) from None
    except OSError as error:
        raise no_answer(arguments.server, error) from None
    except http.client.HTTPException as error:
        kind = type(error).__name__
        raise no_answer(arguments.server, f"what came is not HTTP ({kind})") from None
    except (ValueError, LookupError, TypeError):
        raise no_answer(arguments.server, "what came is not TensorFlow Serving's JSON") from None
    show(outputs, arguments.out)


if __name__ == "__main__":
    main()
