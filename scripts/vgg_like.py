"""Two small networks like VGG: with a flattened head, and with global average pooling."""

from pathlib import Path

import keras
from shapes import CLASSES
from shapes import SIDE
from shapes import drawn

HEADS = ("flattened", "pooled")
EPOCHS = 8
LAYER = "last_features"
"""The last convolution's name, after its normalisation and ReLU."""


def build(head: str) -> keras.Model:
    """Build a network like a small VGG, with batch normalisation."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = inputs
    for block, width in enumerate((16, 32, 64)):
        if block:
            x = keras.layers.MaxPooling2D()(x)
        for place in range(2):
            x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = keras.layers.BatchNormalization()(x)
            last = block == 2 and place == 1
            x = keras.layers.ReLU(name=LAYER if last else None)(x)
    if head == "flattened":
        x = keras.layers.Flatten()(keras.layers.MaxPooling2D()(x))
        x = keras.layers.Dense(64, activation="relu")(keras.layers.Dropout(0.3)(x))
    else:
        x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(len(CLASSES), activation="sigmoid")(x))


def train(head: str, file: Path, pictures: int, seed: int) -> dict[str, float]:
    """Train a network, keep it, and return how good it is on pictures that it has not seen."""
    keras.utils.set_random_seed(seed)
    model = build(head)
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, max(1, pictures // 32) * EPOCHS)
    model.compile(keras.optimizers.Adam(schedule), "binary_crossentropy")
    model.fit(*drawn(pictures, 1000 + seed), batch_size=32, epochs=EPOCHS, verbose=0)
    model.save(file)
    seen, shown = drawn(1000, 2000 + seed)
    right = (model.predict(seen, verbose=0) >= 0.5) == shown
    return {
        "accuracy": float(right.mean()),
        "all_classes_right": float(right.all(axis=1).mean()),
        "pictures": pictures,
        "epochs": EPOCHS,
    }
