"""Train a small segmenter and a small detector, and draw docs/targets.md's figures.

Each picture is noise with a disc and a square. A figure has a map for each of the two objects, and
the script says what part of each map lies on its own object and on the other.
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

SIDE, CELL, RADIUS = 64, 8, 8
NAMES = ("ground", "disc", "square")
GENERATOR = np.random.default_rng(8)
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def draw() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture, uint8 `[64, 64, 3]`, its classes `[64, 64]`, and the objects' middles (y, x)."""
    left, right = GENERATOR.integers([10, 10, 10, 42], [54, 22, 54, 54]).reshape(2, 2)
    middles = np.stack([left, right] if GENERATOR.random() < 0.5 else [right, left])
    (disc_y, disc_x), (square_y, square_x) = middles
    classes = np.zeros((SIDE, SIDE), int)
    classes[(ROWS - disc_y) ** 2 + (COLUMNS - disc_x) ** 2 < RADIUS**2] = 1
    classes[np.maximum(abs(ROWS - square_y), abs(COLUMNS - square_x)) < RADIUS - 1] = 2
    picture = GENERATOR.normal(110, 20, (SIDE, SIDE, 3))
    picture[classes == 1] += (60, 30, 0)
    picture[classes == 2] += (0, 40, 60)
    return np.clip(picture, 0, 255).astype(np.uint8), classes, middles


def trunk(inputs: keras.KerasTensor) -> list[keras.KerasTensor]:
    """Feature maps at a half, a quarter and an eighth of the picture's size."""
    x, found = layers.Rescaling(1 / 127.5, -1)(inputs), []
    for place, channels in enumerate((16, 24, 32)):
        x = layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu", name=f"features{place}")(x)
        found.append(x)
    return found


def segmenter() -> keras.Model:
    """Classes of each position at half the picture's size, `[N, 32, 32, 3]`."""
    inputs = keras.Input((SIDE, SIDE, 3))
    half, quarter, x = trunk(inputs)
    for skip in (quarter, half):
        x = layers.Concatenate()([layers.UpSampling2D()(x), skip])
        x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    model = keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax")(x), name="segmenter")
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    return model


def detector() -> keras.Model:
    """For each cell of 8 x 8, a box as (y, x) from its middle, and a score a class."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="head")(trunk(inputs)[-1])
    boxes = layers.Reshape((-1, 2), name="offsets")(layers.Conv2D(2, 1)(x))
    scores = layers.Conv2D(2, 1, bias_initializer=keras.initializers.Constant(-3))(x)
    scores = layers.Activation("sigmoid", name="classes")(layers.Reshape((-1, 2))(scores))
    model = keras.Model(inputs, {"offsets": boxes, "classes": scores}, name="detector")
    model.compile(
        keras.optimizers.Adam(3e-3),
        {"offsets": offsets_loss, "classes": "binary_focal_crossentropy"},
        loss_weights={"offsets": 0.1, "classes": 10.0},
    )
    return model


def offsets_loss(truth: keras.KerasTensor, offsets: keras.KerasTensor) -> keras.KerasTensor:
    """The squared error where there is an object: truth is (y, x, whether there is one)."""
    return keras.ops.sum((truth[..., :2] - offsets) ** 2, axis=-1) * truth[..., 2]


def cells_of(middles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the detector is to say of pictures: offsets `[N, 64, 3]`, scores `[N, 64, 2]`."""
    count = SIDE // CELL
    offsets, scores = np.zeros((len(middles), count**2, 3)), np.zeros((len(middles), count**2, 2))
    for place, objects in enumerate(middles):
        for kind, (y, x) in enumerate(objects):
            cell = y // CELL * count + x // CELL
            offsets[place, cell] = (y % CELL / CELL - 0.5, x % CELL / CELL - 0.5, 1)
            scores[place, cell, kind] = 1
    return offsets, scores


def corners(outputs: dict[str, np.ndarray], pictures: np.ndarray) -> np.ndarray:
    """The boxes' corners, `[N, 64, 4]`."""
    cells = np.stack(np.divmod(np.arange((SIDE // CELL) ** 2), SIDE // CELL), axis=-1) + 0.5
    middles = (cells + np.asarray(outputs["offsets"])) * CELL
    return np.concatenate([middles - RADIUS, middles + RADIUS], axis=-1)


def figure(explanation: gcam.Explanation, classes: np.ndarray, title: str, file: Path) -> None:
    """Draw a map for each object, and say where each lies."""
    for name, saliency in zip(explanation.names, explanation.maps, strict=True):
        parts = [saliency[classes == kind].sum() / saliency.sum() for kind in (1, 2)]
        print(f"{title}: {name!r}: {parts[0]:.2f} on the disc, {parts[1]:.2f} on the square")
    panels = [
        Panel(explanation.picture, saliency if at else None)
        for at, saliency in enumerate([None, *explanation.maps])
    ]
    grid = Grid(("picture", *explanation.names), (GridRow("", tuple(panels)),))
    large = file.with_suffix(".png")
    save_figure(draw_grids([grid], title=title), large)
    with Image.open(large) as image:
        image.convert("RGB").save(file)
    large.unlink()


def main() -> None:
    repository = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=repository / "docs/images")
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    keras.utils.set_random_seed(8)
    pictures, classes, middles = map(np.stack, zip(*[draw() for _ in range(256)], strict=True))
    shown, shown_classes, _ = draw()

    model = segmenter()
    model.fit(pictures, classes[:, ::2, ::2], batch_size=32, epochs=options.epochs, verbose=0)
    explainer = gcam.Explainer(model, layer="features1", class_names=NAMES)
    targets = [gcam.targets.region(name) for name in NAMES[1:]]
    figure(
        explainer.explain(shown, targets, "hirescam"),
        shown_classes,
        "Segmenter, where each class is predicted",
        options.out / "targets_regions.jpg",
    )

    model, (offsets, scores) = detector(), cells_of(middles)
    truth = {"offsets": offsets, "classes": scores}
    model.fit(pictures, truth, batch_size=32, epochs=options.epochs, verbose=0)
    explainer = gcam.Explainer(model, layer="features1", class_names=NAMES[1:])
    targets = [gcam.targets.box(at, nms=0.5, decode=corners, scores="classes") for at in (0, 1)]
    figure(
        explainer.explain(shown, targets, "hirescam"),
        shown_classes,
        "Detector, its two best boxes",
        options.out / "targets_boxes.jpg",
    )


if __name__ == "__main__":
    main()
