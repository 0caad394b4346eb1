"""Run an export's signatures in a process that has TensorFlow and nothing of this package.

A file to be started by its path, with `python -I`. It reads requests, `[(signature, inputs), ...]`
with arrays by name, and writes their answers, `[outputs, ...]`, both as pickles.
"""

import pickle
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

PACKAGE = "guidedcam_tf"


class Absent(MetaPathFinder):
    """Makes the package impossible to import, wherever it is installed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse the package, and leave every other module to the finders after this one."""
        if name.partition(".")[0] == PACKAGE:
            raise ModuleNotFoundError(f"{name} is absent on purpose", name=name)


def main(export: str, requests: str, answers: str) -> None:
    """Load `export`, answer the requests in one file, and write the answers to another."""
    sys.meta_path.insert(0, Absent())
    import tensorflow as tf

    model = tf.saved_model.load(export)
    answered = []
    for signature, inputs in pickle.loads(Path(requests).read_bytes()):
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        outputs = model.signatures[signature](**tensors)
        answered.append({name: tensor.numpy() for name, tensor in outputs.items()})
    Path(answers).write_bytes(pickle.dumps(answered))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # Whatever it is, the process that started this one reports it.
        print(f"{type(error).__name__}: {error}")
        sys.exit(1)
