"""What the REST and the gRPC client share: their arguments, and what they do with an answer."""

import argparse
from pathlib import Path
from typing import Any


def read_arguments(description: str, server: str) -> argparse.Namespace:
    """Read the command line; `server` is the default address."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("picture", type=Path, help="a JPEG or PNG file")
    parser.add_argument("--server", default=server, help="host:port (default: %(default)s)")
    parser.add_argument("--model", default="guidedcam", help="the model's name on the server")
    parser.add_argument("--class-id", type=int, default=-1, help="-1 for the best class")
    parser.add_argument("--out", type=Path, default=Path("overlay.png"), help="the overlay's file")
    parser.add_argument("--timeout", type=float, default=60, help="in seconds")
    return parser.parse_args()


def show(outputs: dict[str, Any], file: Path) -> None:
    """Print the top five classes of the first picture in an answer, and write its overlay."""
    names, probabilities = outputs["top5_names"][0], outputs["top5_probabilities"][0]
    for name, probability in zip(names, probabilities, strict=True):
        print(f"{probability:7.2%}  {name.decode() if isinstance(name, bytes) else name}")
    file.write_bytes(outputs["overlay_png_bytes"][0])
    print(f"{file}: what speaks for class {outputs['target'][0]}")
