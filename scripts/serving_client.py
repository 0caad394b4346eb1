"""What the REST and the gRPC client share: their arguments, and what they do with an answer.

What goes wrong is said in one line on standard error: exit code 2 for a wrong call, 1 for the rest.
"""

import argparse
import re
from pathlib import Path
from typing import Any

MAX_CLASS_ID = (1 << 31) - 1


def read_arguments(description: str, server: str) -> tuple[argparse.Namespace, bytes]:
    """Read the command line and the picture's file; `server` is the default address."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("picture", type=Path, help="a JPEG or PNG file")
    parser.add_argument(
        "--server", type=_address, default=server, help="host:port (default: %(default)s)"
    )
    parser.add_argument("--model", default="guidedcam", help="the model's name on the server")
    parser.add_argument("--class-id", type=_class_id, default=-1, help="-1 for the best class")
    parser.add_argument("--out", type=Path, default=Path("overlay.png"), help="the overlay's file")
    parser.add_argument("--timeout", type=_seconds, default=60, help="in seconds")
    arguments = parser.parse_args()
    try:
        return arguments, arguments.picture.read_bytes()
    except OSError as error:
        parser.error(f"{arguments.picture} cannot be read: {error.strerror}")


def show(outputs: dict[str, Any], file: Path) -> None:
    """Print the top five classes of the first picture in an answer, and write its overlay."""
    try:
        names, probabilities = outputs["top5_names"][0], outputs["top5_probabilities"][0]
        drawn, target = outputs["overlay_png_bytes"][0], outputs["target"][0]
    except KeyError as missing:
        raise SystemExit(
            f"the answer has no {missing}, only {', '.join(outputs) or 'nothing'}; expected the "
            "outputs of overlay_bytes, from a model that `guidedcam export` wrote"
        ) from None
    for name, probability in zip(names, probabilities, strict=True):
        print(f"{probability:7.2%}  {name.decode() if isinstance(name, bytes) else name}")
    try:
        file.write_bytes(drawn)
    except OSError as error:
        raise SystemExit(f"{file} cannot be written: {error.strerror}") from None
    print(f"{file}: the evidence for class {target}")


def no_answer(server: str, reason: object) -> SystemExit:
    """Make what ends a client whose server gives no answer that it can read."""
    return SystemExit(
        f"no answer from {server}: {reason}; is the server running, and is this its port? "
        "TensorFlow Serving takes gRPC at 8500 and REST at 8501"
    )


def in_short(message: str) -> str:
    """Take the reason out of what TensorFlow says of a request, which names nodes of its graph."""
    asserted = re.search(r"assertion failed: \[(.*)\]", message)
    return asserted[1] if asserted else " ".join(message.split())[:300]


def _address(text: str) -> str:
    if not re.fullmatch(r"[^\s/@]+:[0-9]{1,5}", text):
        raise argparse.ArgumentTypeError(f"expected host:port, such as localhost:8501, not {text}")
    return text


def _class_id(text: str) -> int:
    if not re.fullmatch("-1|[0-9]{1,10}", text) or int(text) > MAX_CLASS_ID:
        raise argparse.ArgumentTypeError(f"expected a class's index, or -1, not {text}")
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text) or not float(text):
        raise argparse.ArgumentTypeError(f"expected seconds above 0, not {text}")
    return float(text)
