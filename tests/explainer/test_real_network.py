"""The real ResNet50 knows its classes, and its maps lie on what it saw."""

import csv

import numpy as np
import pytest
from PIL import Image
from PIL import ImageOps


@pytest.mark.slow
def test_accuracy_on_imagenet_validation_pictures(resnet50, data_folder, capsys):

    folder = data_folder / "imagenet_val_227"
    rows = list(csv.DictReader((folder / "labels.csv").open()))[::4]
    images = np.stack([np.asarray(Image.open(folder / "images" / r["file"])) for r in rows])
    labels = np.array([int(row["index"]) for row in rows])
    accuracy = (resnet50.predict(images).argmax(axis=1) == labels).mean()
    with capsys.disabled():
        print(f"\nResNet50 top-1 on {len(rows)} ImageNet validation pictures: {accuracy:.4f}")
    assert accuracy >= 0.75


def test_the_mosaic_s_maxima_lie_on_the_objects(resnet50):
    import skimage.data

    halves = [
        np.asarray(ImageOps.fit(Image.fromarray(photograph), (300, 300)))
        for photograph in (skimage.data.chelsea(), skimage.data.coffee())
    ]
    explanation = resnet50.explain(np.hstack(halves), ["Egyptian cat", "espresso"])
    columns = explanation.maps.max(axis=1).argmax(axis=1)
    assert columns[0] < 300 <= columns[1]
