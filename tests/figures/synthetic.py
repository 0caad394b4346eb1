"""Results that no network made, for drawing."""

import numpy as np

from guidedcam_tf.explanation import Explanation
from guidedcam_tf.figures.curves import AreaCurves
from guidedcam_tf.figures.curves import PictureCurves
from guidedcam_tf.figures.grid import Grid
from guidedcam_tf.figures.grid import GridRow
from guidedcam_tf.figures.grid import Panel
from guidedcam_tf.metrics import Curve


def picture(height=60, width=90):
    """A picture of two colour ramps, uint8 `[H, W, 3]`."""
    rows, columns = np.mgrid[0:height, 0:width]
    ramps = (255 * rows / height, 255 * columns / width, np.full(rows.shape, 90.0))
    return np.stack(ramps, axis=-1).astype(np.uint8)


def spot(height=60, width=90, *, down=0.5, across=0.5):
    """A map with one peak, float32 `[H, W]` in `[0, 1]`."""
    rows, columns = np.mgrid[0:height, 0:width]
    square = (rows / height - down) ** 2 + (columns / width - across) ** 2
    return np.exp(-square / 0.02).astype(np.float32)


def row(label, columns, height=60, width=90):
    """A row of the picture and maps whose peaks move to the right."""
    shown = picture(height, width)
    maps = [
        Panel(shown, spot(height, width, across=(at + 0.5) / columns)) for at in range(columns - 1)
    ]
    return GridRow(label, (Panel(shown), *maps))


def grid(columns=4):
    """Two rows, of which one has an empty place, an empty map and a map that stands alone."""
    shown = picture()
    second = [Panel(shown), Panel(shown, spot(), over=False)]
    second.append(Panel(shown, np.zeros((60, 90), np.float32), caption="empty map"))
    second += [None] * (columns - 3)
    titles = ("picture", *(f"method {at}" for at in range(1, columns)))
    return Grid(
        titles, (row("tabby\np = 0.49", columns), GridRow("tiger cat", tuple(second))), "part"
    )


def explanation():
    """What the proposed method would give for two targets."""
    raw = np.stack([spot(7, 7, across=0.2), spot(7, 7, across=0.8)])
    return Explanation(
        picture=picture(),
        maps=np.stack([spot(across=0.2), spot(across=0.8)]),
        raw=raw,
        intermediates={"guidance": raw, "unguided": raw, "activation_sum": raw[::-1]},
        targets=np.array([3, 5]),
        names=["tabby", "bull mastiff"],
        wnids=[],
        probabilities=np.array([0.49, 0.0042], np.float32),
        model="resnet50",
        layer="conv5_block3_out",
        method="guided",
        weights="none",
        stem="picture",
    )


def picture_curves():
    """Curves of two methods that begin or end at the clean probability."""
    shares = np.linspace(0, 1, 11)
    falls = {
        "guided": Curve(shares, 0.8 * (1 - shares) ** 3),
        "gradcam": Curve(shares, 0.8 - 0.8 * shares),
    }
    rises = {"guided": Curve(shares, 0.8 * shares**0.3), "gradcam": Curve(shares, 0.8 * shares)}
    return PictureCurves(picture(), "tabby", 0.8, falls, rises)


def value_curves():
    """Curves of a regression, whose numbers have a sign and several digits."""
    shares = np.linspace(0, 1, 11)
    falls = {"guided": Curve(shares, -20.07 - shares / 10)}
    rises = {"guided": Curve(shares, -20.17 + shares / 10)}
    return PictureCurves(picture(), "unit 1", -20.07, falls, rises, "value")


def area_curves():
    """Area curves of two methods for two metrics."""
    areas = np.linspace(0.1, 0.9, 5)
    values = {"guided": 1 - areas, "gradcam": 1 - areas**2}
    dots = {"guided": (0.1, 0.9), "gradcam": (0.4, 0.84)}
    names = ("saliency_drop", "context_drop")
    return AreaCurves(areas, dict.fromkeys(names, values), dict.fromkeys(names, dots), 0.5, 3)
