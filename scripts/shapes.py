"""Pictures of several shapes on a textured ground, with the exact mask of each.

Two or three shapes of different classes a picture; nothing but the shape tells the class.
"""

import csv
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

CLASSES = ("disc", "square", "triangle", "cross", "ring", "star")
SIDE = 48
QUARTERS = ((12, 12), (12, 36), (36, 12), (36, 36))
"""Centres of the places that shapes are drawn near."""


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
    """Write pictures, masks, `labels.csv` and `class_names.txt`."""
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    (folder / "class_names.txt").write_text("\n".join(CLASSES), "utf-8")
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
