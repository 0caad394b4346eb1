"""Train two small networks, with a flattened and with a pooled head, and run the tables on both.

    python scripts/reproduce_flattened.py --out runs

After global pooling the proposed map is Grad-CAM's square. A flattened head, as VGG's, gives the
gradient a position, so there the two differ. The pictures are drawn here: two or three shapes of
different classes on a textured ground, with exact masks. Everything follows from the seed.
"""

import argparse
import csv
import json
from pathlib import Path

import cv2
import keras
import numpy as np
from PIL import Image

from guidedcam_tf.configuring import read_config
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.run import evaluate

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "flattened.yaml"
CLASSES = ("disc", "square", "triangle", "cross", "ring", "star")
SIDE = 48
QUARTERS = ((12, 12), (12, 36), (36, 12), (36, 36))
"""Centres of the places that shapes are drawn near."""
HEADS = ("flattened", "pooled")


def shape(name: str, centre: tuple[float, float], radius: float, angle: float) -> np.ndarray:
    """Draw a shape, bool `[SIDE, SIDE]`."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    middle = (round(centre[0]), round(centre[1]))
    if name in ("disc", "ring"):
        cv2.circle(canvas, middle, round(radius), 1, -1 if name == "disc" else 3)
        return canvas.astype(bool)
    corners = {"square": 4, "triangle": 3, "cross": 4, "star": 10}[name]
    turns = angle + 2 * np.pi * np.arange(corners) / corners
    reach = radius * np.where(np.arange(corners) % 2, 0.4, 1.0) if name == "star" else radius
    points = np.stack([np.cos(turns), np.sin(turns)], 1) * np.reshape(reach, [-1, 1]) + centre
    points = np.round(points).astype(np.int32)
    if name == "cross":
        cv2.line(canvas, points[0].tolist(), points[2].tolist(), 1, 4)
        cv2.line(canvas, points[1].tolist(), points[3].tolist(), 1, 4)
    else:
        cv2.fillPoly(canvas, [points], 1)
    return canvas.astype(bool)


def picture(generator: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw a picture, uint8 `[SIDE, SIDE, 3]`, and the mask of each class in it."""
    ground = generator.uniform(60, 190, 3)
    coarse = generator.normal(0, 25, (SIDE // 6, SIDE // 6, 3)).astype(np.float32)
    pixels = ground + cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    masks = {}
    count = int(generator.integers(2, 4))
    names = generator.choice(CLASSES, count, replace=False)
    places = generator.permutation(QUARTERS)[:count]
    for name, place in zip(names, places, strict=True):
        centre = tuple(place + generator.uniform(-2.5, 2.5, 2))
        mask = shape(name, centre, generator.uniform(7, 9.5), generator.uniform(0, 2 * np.pi))
        away = generator.choice([-1, 1], 3) * generator.uniform(50, 120, 3)
        pixels[mask] = ground + away
        masks[str(name)] = mask
    pixels += generator.normal(0, 8, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8), masks


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw pictures in 0..1, `[count, SIDE, SIDE, 3]`, and which classes they show."""
    generator = np.random.default_rng(seed)
    found = [picture(generator) for _ in range(count)]
    shown = np.array([[name in masks for name in CLASSES] for _, masks in found], np.float32)
    return np.array([pixels for pixels, _ in found], np.float32) / 255, shown


def write_data_set(folder: Path, count: int, seed: int) -> None:
    """Write pictures, masks and `labels.csv`."""
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("picture", "class", "mask"))
        for number in range(count):
            pixels, masks = picture(generator)
            Image.fromarray(pixels).save(folder / f"{number:04}.png")
            for name, mask in masks.items():
                written = f"masks/{number:04}_{name}.png"
                Image.fromarray(mask.astype(np.uint8) * 255).save(folder / written)
                writer.writerow((f"{number:04}.png", name, written))


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
            x = keras.layers.ReLU(name="last_features" if last else None)(x)
    if head == "flattened":
        x = keras.layers.Flatten()(keras.layers.MaxPooling2D()(x))
        x = keras.layers.Dense(64, activation="relu")(keras.layers.Dropout(0.3)(x))
    else:
        x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(len(CLASSES), activation="sigmoid")(x))


def train(head: str, file: Path, pictures: int, epochs: int, seed: int) -> dict[str, float]:
    """Train a network, keep it, and return how good it is on pictures that it has not seen."""
    keras.utils.set_random_seed(seed)
    model = build(head)
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, max(1, pictures // 32) * epochs)
    model.compile(keras.optimizers.Adam(schedule), "binary_crossentropy")
    model.fit(*drawn(pictures, 1000 + seed), batch_size=32, epochs=epochs, verbose=0)
    model.save(file)
    seen, shown = drawn(1000, 2000 + seed)
    right = (model.predict(seen, verbose=0) >= 0.5) == shown
    return {"accuracy": float(right.mean()), "all_classes_right": float(right.all(axis=1).mean())}


def reproduce(out: Path, pictures: int, epochs: int, test: int, seed: int) -> list[Path]:
    """Draw, train and evaluate, or go on with it; return the runs' folders."""
    data = out / f"shapes_{seed}"
    write_data_set(data, test, 3000 + seed)
    (data / "class_names.txt").write_text("\n".join(CLASSES), "utf-8")
    folders = []
    for head in HEADS:
        model = out / f"{head}_{seed}.keras"
        record = out / f"{head}_{seed}.json"
        if not record.exists():
            quality = train(head, model, pictures, epochs, seed)
            record.write_text(json.dumps(quality | {"pictures": pictures, "epochs": epochs}))
        settings = [f"name={head}_{seed}", f"model={model}", f"data.root={data}"]
        settings += [f"class_names={data / 'class_names.txt'}", f"seed={seed}"]
        folders.append(evaluate(read_config(CONFIG, EvaluationConfig, settings), out))
        (folders[-1] / "network.json").write_text(record.read_text("utf-8"), "utf-8")
    return folders


def main() -> None:
    """Read the arguments, run, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs"), help="the folder of runs")
    parser.add_argument("--pictures", type=int, default=4000, help="how many to train with")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--test", type=int, default=200, help="how many to evaluate on")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        folders = reproduce(given.out, given.pictures, given.epochs, given.test, given.seed)
    except InputError as error:
        parser.error(str(error))
    for folder in folders:
        print((folder / "network.json").read_text("utf-8"))
        print((folder / "table.md").read_text("utf-8"))


if __name__ == "__main__":
    main()
