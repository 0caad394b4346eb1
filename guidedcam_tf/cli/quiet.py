"""Importing TensorFlow quickly and without its start-up chatter."""

from __future__ import annotations

import gc
import os

from guidedcam_tf.errors import check_backend
from guidedcam_tf.silence import native_silence


def import_tensorflow() -> None:
    """Import TensorFlow and wake its runtime with standard error closed.

    Its C++ libraries print there before any log level is heard (TensorFlow 2.21), and a person who
    asked for a picture should not have to read about missing GPUs. What fails still raises.

    What an import makes stays. The garbage collector looks for waste in it again and again, and at
    the process's end once more, which takes a third of the time; so it is spared that.
    """
    check_backend()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    gc.disable()
    try:
        with native_silence():
            import tensorflow as tf

            tf.constant(0)
        # Its retracing detector takes the kernels of several methods for one function's.
        tf.get_logger().setLevel("ERROR")
    finally:
        gc.freeze()
        gc.enable()
