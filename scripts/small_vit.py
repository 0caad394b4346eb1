"""Train small vision transformers on composites, and say and draw where their maps point.

    python scripts/small_vit.py --out vit --figure docs/images/vit.jpg

Each picture has two squares of different textures, of four, on coloured noise, and the network says
which textures there are. Their boxes are known, so the pointing game asks whether a map's highest
point lies in the box of the texture that it explains; chance is the part of the picture that the
boxes cover. One network has a head on a class token, one on the mean token.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from keras import layers
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.figures.grid import Grid
from guidedcam_tf.figures.grid import GridRow
from guidedcam_tf.figures.grid import Panel
from guidedcam_tf.figures.grid import draw_grids
from guidedcam_tf.figures.saving import save_figure
from guidedcam_tf.figures.style import method_title
from guidedcam_tf.metrics import box_mask
from guidedcam_tf.metrics.pointing import pointing_game

SIDE, PATCH, WIDTH, BLOCKS, HEADS = 64, 8, 48, 2, 4
TEXTURES = ("columns", "rows", "checks", "rings")
HEADED = ("mean", "class")
BATCH, EPOCHS, PICTURES = 64, 4, 4096
METHODS = ("gradcam", "guided", "hirescam", "legrad", "attention_rollout")
SHOWN = ("gradcam", "legrad")


def texture(kind: int, side: int, generator: np.random.Generator) -> np.ndarray:
    """A square of a texture in two colours, `[side, side, 3]`."""
    y, x = np.mgrid[:side, :side] + generator.integers(4)
    radius = np.hypot(y - y.mean(), x - x.mean())
    bright = (x % 4 < 2, y % 4 < 2, (x // 2 + y // 2) % 2 == 0, radius % 4 < 2)[kind]
    light, dark = generator.uniform(150, 255, 3), generator.uniform(0, 100, 3)
    return np.where(bright[..., None], light, dark)


def composites(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures uint8, which textures they show `[N, 4]`, and boxes (left, top, right, bottom)."""
    generator = np.random.default_rng(seed)
    pictures = np.empty([count, SIDE, SIDE, 3])
    shown, boxes = np.zeros([count, 4], np.float32), np.zeros([count, 4, 4], int)
    for n in range(count):
        coarse = generator.uniform(60, 200, [SIDE // 8, SIDE // 8, 3])
        ground = coarse.repeat(8, 0).repeat(8, 1)
        pictures[n] = ground + generator.normal(0, 20, [SIDE, SIDE, 3])
        halves = generator.permutation([0, SIDE // 2])
        for kind, half in zip(generator.permutation(4)[:2], halves, strict=True):
            side = generator.integers(18, 27)
            top = generator.integers(SIDE - side)
            left = half + generator.integers(SIDE // 2 - side + 1)
            square = texture(kind, side, generator)
            pictures[n, top : top + side, left : left + side] = square
            shown[n, kind], boxes[n, kind] = 1, (left, top, left + side, top + side)
    return np.clip(pictures, 0, 255).astype(np.uint8), shown, boxes


@keras.saving.register_keras_serializable("small_vit")
class Positions(layers.Layer):
    """Adds a learned vector to each token, and puts as many others before them as are asked for."""

    def __init__(self, before: int = 0, **options: object) -> None:
        super().__init__(**options)
        self.before = before

    def build(self, shape: tuple[int, ...]) -> None:
        """See `keras.layers.Layer.build`."""
        shape = (1, shape[1] + self.before, shape[2])
        self.places = self.add_weight(shape=shape, initializer="normal", name="places")

    def call(self, tokens: keras.KerasTensor) -> keras.KerasTensor:
        """See `keras.layers.Layer.call`."""
        return keras.ops.pad(tokens, [[0, 0], [self.before, 0], [0, 0]]) + self.places

    def get_config(self) -> dict[str, object]:
        """See `keras.layers.Layer.get_config`."""
        return {**super().get_config(), "before": self.before}


def vit(head: str) -> keras.Model:
    """Build the network, with stochastic depth; its head is on a class token or the mean token."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 127.5, -1)(inputs)
    x = layers.Conv2D(WIDTH, PATCH, strides=PATCH, name="patches")(x)
    x = Positions(int(head == "class"), name="tokens")(layers.Reshape((-1, WIDTH))(x))
    for n in range(1, BLOCKS + 1):
        y = layers.LayerNormalization(name=f"block{n}_norm1")(x)
        y = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"block{n}_attention")(y, y)
        x = layers.Add()([x, layers.Dropout(0.4, noise_shape=(None, 1, 1))(y)])
        y = layers.LayerNormalization(name=f"block{n}_norm2")(x)
        y = layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, activation="gelu")(y))
        x = layers.Add(name=f"block{n}_out")([x, y])
    x = layers.LayerNormalization(name="norm")(x)
    x = x[:, 0] if head == "class" else layers.GlobalAveragePooling1D()(x)
    outputs = layers.Dense(len(TEXTURES), activation="sigmoid", name="textures")(x)
    return keras.Model(inputs, outputs, name=f"vit_{head}")


def train(head: str, seed: int) -> keras.Model:
    """Train a network."""
    keras.utils.set_random_seed(seed)
    pictures, shown, _ = composites(PICTURES, seed)
    model = vit(head)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, EPOCHS * PICTURES // BATCH)
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy")
    model.fit(pictures, shown, batch_size=BATCH, epochs=EPOCHS, verbose=2)
    return model


def measure(explainer: gcam.Explainer, count: int, seed: int) -> None:
    """Print how often the network is right, and each method's pointing game and chance."""
    pictures, shown, boxes = composites(count, 1000 + seed)
    right = (explainer.predict(pictures) >= 0.5) == (shown == 1)
    print(f"{explainer.network.name} at {explainer.layer}: {right.mean():.3f} of answers are right")
    places, kinds = np.nonzero(shown)
    truth = [box_mask(box[None], (SIDE, SIDE)) for box in boxes[places, kinds].astype(float)]
    print(f"{len(truth)} objects; chance {np.mean(truth):.3f}")
    for method in METHODS:
        maps = explainer.maps(pictures[places], kinds.tolist(), method)
        hits = [pointing_game(s, t, tolerance=0) for s, t in zip(maps, truth, strict=True)]
        print(f"{method}: {np.mean(hits):.3f}", flush=True)


def draw(explainer: gcam.Explainer, seed: int, file: Path, rows: int = 3) -> None:
    """Draw the maps of both objects of some pictures that the network has not seen."""
    pictures, shown, _ = composites(rows, 2000 + seed)
    lines = []
    for picture, each in zip(pictures, shown, strict=True):
        large = np.asarray(Image.fromarray(picture).resize((4 * SIDE, 4 * SIDE), 0))
        kinds, panels = np.flatnonzero(each).tolist(), [Panel(large)]
        for method in SHOWN:
            maps = explainer.explain(large, kinds, method).maps
            named = zip(maps, (TEXTURES[kind] for kind in kinds), strict=True)
            panels += [Panel(large, saliency, caption=name) for saliency, name in named]
        lines.append(GridRow("", tuple(panels)))
    titles = [method_title(method) for method in SHOWN for _ in range(2)]
    grid = Grid(("picture", *titles), tuple(lines))
    large_file = file.with_suffix(".png")
    save_figure(draw_grids([grid], title="A small vision transformer"), large_file)
    with Image.open(large_file) as image:
        smaller = image.convert("RGB")
    smaller.thumbnail((1300, 1300))
    smaller.save(file, quality=80)
    large_file.unlink()


def main() -> None:
    """Train, or take what was trained; measure, and draw the first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("vit"), help="where networks are kept")
    parser.add_argument("--figure", type=Path, help="the figure's file, a JPEG")
    parser.add_argument("--test", type=int, default=200, help="how many pictures to measure on")
    parser.add_argument("--layer", help="[default: the network's own]")
    parser.add_argument("--heads", nargs="+", choices=HEADED, default=HEADED)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for head in given.heads:
        file = given.out / f"vit_{head}_{given.seed}.keras"
        if not file.exists():
            train(head, given.seed).save(file)
        explainer = gcam.Explainer(file, layer=given.layer, class_names=TEXTURES)
        measure(explainer, given.test, given.seed)
        if given.figure and head == given.heads[0]:
            draw(explainer, given.seed, given.figure)


if __name__ == "__main__":
    main()
