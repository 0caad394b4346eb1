"""Train a small vision transformer on composites, measure the pointing game, and draw its maps.

Each picture, 64 x 64, has two objects of different textures (of four) at random places on a
background of coloured noise, and the network says which textures there are. The boxes are known, so
the pointing game is: does a map's highest point lie in the box of the texture that is asked for?

    python scripts/vit_figure.py FOLDER [--steps 2000]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

SIDE, PATCH, WIDTH, BLOCKS, HEADS = 64, 8, 48, 3, 4
TEXTURES = ("columns", "rows", "checks", "rings")
layers = keras.layers


def texture(kind: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """A square of a texture in two colours, `[side, side, 3]`."""
    y, x = np.mgrid[:side, :side] + rng.integers(4)
    radius = np.hypot(y - y.mean(), x - x.mean())
    bright = (x % 4 < 2, y % 4 < 2, (x // 2 + y // 2) % 2 == 0, radius % 4 < 2)[kind]
    light, dark = rng.uniform(150, 255, 3), rng.uniform(0, 100, 3)
    return np.where(bright[..., None], light, dark)


def composites(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures uint8, labels `[N, 4]`, and boxes `[N, 4, 4]` (top, left, bottom, right; 0: none)."""
    rng = np.random.default_rng(seed)
    pictures = np.empty([count, SIDE, SIDE, 3])
    labels, boxes = np.zeros([count, 4], np.float32), np.zeros([count, 4, 4], int)
    for n in range(count):
        coarse = rng.uniform(60, 200, [SIDE // 8, SIDE // 8, 3])
        pictures[n] = coarse.repeat(8, 0).repeat(8, 1) + rng.normal(0, 20, [SIDE, SIDE, 3])
        halves = rng.permutation([0, SIDE // 2])
        for kind, left in zip(rng.permutation(4)[:2], halves, strict=True):
            side = rng.integers(18, 27)
            top, x = rng.integers(SIDE - side), left + rng.integers(SIDE // 2 - side + 1)
            pictures[n, top : top + side, x : x + side] = texture(kind, side, rng)
            labels[n, kind], boxes[n, kind] = 1, (top, x, top + side, x + side)
    return np.clip(pictures, 0, 255).astype(np.uint8), labels, boxes


@keras.saving.register_keras_serializable("vit_figure")
class ClassToken(layers.Layer):
    """Puts a learned token before the others, and adds positions."""

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="normal")
        self.places = self.add_weight(shape=(1, shape[1] + 1, shape[-1]), initializer="normal")

    def call(self, tokens):
        first = keras.ops.repeat(self.token, keras.ops.shape(tokens)[0], axis=0)
        return keras.ops.concatenate([first, tokens], axis=1) + self.places


def vit() -> keras.Model:
    """Three blocks of four heads over 8 x 8 patches and a class token."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 127.5, -1)(inputs)
    x = layers.Conv2D(WIDTH, PATCH, strides=PATCH, name="patches")(x)
    x = ClassToken(name="tokens")(layers.Reshape((-1, WIDTH))(x))
    for n in range(1, BLOCKS + 1):
        y = layers.LayerNormalization(name=f"block{n}_norm1")(x)
        y = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"block{n}_attention")(y, y)
        x = layers.Add(name=f"block{n}_add1")([x, y])
        y = layers.LayerNormalization(name=f"block{n}_norm2")(x)
        y = layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, activation="gelu")(y))
        x = layers.Add(name=f"block{n}_out")([x, y])
    x = layers.LayerNormalization(name="norm")(x)[:, 0]
    return keras.Model(inputs, layers.Dense(4, activation="sigmoid", name="textures")(x))


def trained(steps: int) -> keras.Model:
    """The network after some steps of Adam on batches of 64."""
    keras.utils.set_random_seed(0)
    pictures, labels, _ = composites(4096, seed=0)
    model = vit()
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["binary_accuracy"])
    model.fit(pictures, labels, batch_size=64, epochs=max(1, steps // 64), verbose=2)
    return model


def main() -> None:
    """Train, measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=1536)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    file = given.folder / "vit.keras"
    if not file.exists():
        trained(given.steps).save(file)


if __name__ == "__main__":
    main()
