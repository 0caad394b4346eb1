"""Small data sets, made in a temporary folder."""

import json

import numpy as np
from PIL import Image

from guidedcam_tf.data import Skipped
from guidedcam_tf.data import load

HEIGHT, WIDTH = 6, 9


def picture(path, height=HEIGHT, width=WIDTH):
    """Write a picture, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), "teal").save(path)
    return path


def palette(path, values):
    """Write a mask as VOC does: numbers as the indices of a palette whose colours mislead."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(values, np.uint8), "P")
    image.putpalette([255 - index // 3 for index in range(768)])
    image.save(path)


def xml(path, *objects, text=None):
    """Write a VOC annotation; an object is (name, difficult, xmin, ymin, xmax, ymax)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        text
        or "<annotation>"
        + "".join(
            f"<object><name>{name}</name><part><name>head</name><bndbox><xmin>1</xmin><ymin>1"
            f"</ymin><xmax>1</xmax><ymax>1</ymax></bndbox></part><difficult>{difficult}"
            f"</difficult><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax>"
            f"<ymax>{box[3]}</ymax></bndbox></object>"
            for name, difficult, *box in objects
        )
        + "</annotation>"
    )


def voc_picture(root, name, values=None):
    """Add a picture with its mask to a VOC tree and to the list of its split `val`."""
    picture(root / "JPEGImages" / f"{name}.jpg")
    palette(
        root / "SegmentationClass" / f"{name}.png",
        np.zeros((HEIGHT, WIDTH)) if values is None else values,
    )
    names = root / "ImageSets" / "Segmentation" / "val.txt"
    names.parent.mkdir(parents=True, exist_ok=True)
    with names.open("a") as stream:
        stream.write(f"{name}\n")


def coco_json(root, images, annotations, categories=({"id": 18, "name": "dog"},), **others):
    """Write a COCO file; an image is its name, with identifier 1, 2, ..."""
    (root / "val2014").mkdir(parents=True, exist_ok=True)
    listed = [
        {"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH}
        for number, name in enumerate(images, 1)
    ]
    document = {
        "images": listed,
        "annotations": [{"category_id": 18, "iscrowd": 0, **entry} for entry in annotations],
        "categories": list(categories),
        **others,
    }
    file = root / "annotations" / "instances_val2014.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(document))
    return file


def read_all(data_set):
    """Read a data set: what was loaded, and all that was skipped."""
    read = list(load(data_set.samples, workers=2))
    skipped = [entry for entry in read if isinstance(entry, Skipped)]
    return [entry for entry in read if entry not in skipped], [*data_set.skipped, *skipped]


def faults(data_set):
    """All that was skipped, as (id, reason)."""
    return [(entry.id, entry.reason) for entry in read_all(data_set)[1]]
