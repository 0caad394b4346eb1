"""Pictures as clients send them."""

import io

import numpy as np
from PIL import Image


def encode(pixels, kind="JPEG"):
    """Pixels as the bytes of a picture's file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def decoded(encoded):
    """The pixels of an encoded picture, as Pillow reads them."""
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
