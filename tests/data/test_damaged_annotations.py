"""Whatever is in annotations and lists: pictures that are skipped with a reason, or one refusal."""

import json
import os
import re

import pytest
from data.mutations import text_mutations
from data.trees import HEIGHT
from data.trees import WIDTH
from data.trees import coco_json
from data.trees import palette
from data.trees import picture
from data.trees import read_all
from data.trees import voc_picture
from data.trees import xml

from guidedcam_tf.data import class_map_for
from guidedcam_tf.data import open_coco
from guidedcam_tf.data import open_imagenet
from guidedcam_tf.data import open_voc
from guidedcam_tf.data import read_class_map
from guidedcam_tf.data import read_list
from guidedcam_tf.data.labels import LabelsConfig
from guidedcam_tf.data.loading import load_one
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks import ClassNames

COUNT = int(os.environ.get("GUIDEDCAM_FUZZ", "200"))
"""How many mutations of each kind; set it higher to search longer."""

PETS = ClassNames(("cat", "dog"))

VOC, COCO = read_class_map("voc2012"), read_class_map("coco2014")


def voc_xml(root):
    voc_picture(root, "a", [[8] * WIDTH] * HEIGHT)
    xml(root / "Annotations" / "a.xml", ("cat", 0, 2, 2, 5, 5), ("dog", "True", 1, 1, 9, 6))
    return root / "Annotations" / "a.xml", lambda: open_voc(root, class_map=VOC)


def voc_list(root):
    for name in ("a", "b c", "d"):
        picture(root / "JPEGImages" / f"{name}.jpg")
    file = root / "ImageSets" / "Main" / "val.txt"
    file.parent.mkdir(parents=True)
    file.write_text("a 1\nb c\nd -1\n")
    keys = {"image_set": "Main", "masks": False, "annotations": ("JPEGImages",)}
    return file, lambda: open_voc(root, class_map=VOC, **keys)


def voc_mask(root):
    voc_picture(root, "a", [[8] * WIDTH, [255] * WIDTH] * (HEIGHT // 2))
    return root / "SegmentationClass" / "a.png", lambda: open_voc(root, class_map=VOC)


def coco(root):
    picture(root / "val2014" / "a.jpg")
    rle = {"size": [HEIGHT, WIDTH], "counts": [12, 6, 36]}
    entries = [
        {"id": 1, "image_id": 1, "bbox": [1, 1, 3.5, 2], "segmentation": [[1, 1, 4, 1, 4, 3]]},
        {"id": 2, "image_id": 1, "bbox": [2, 0, 3, 2], "segmentation": rle, "iscrowd": 1},
    ]
    return coco_json(root, ["a.jpg"], entries), lambda: open_coco(root, class_map=COCO)


def imagenet(root, name="labels.csv", text="file,index,wnid\na.jpg,281,n02123045\nb.jpg,3,\n"):
    for one in ("a.jpg", "images/b.jpg"):
        picture(root / one)
    (root / name).write_text(text)
    return root / name, lambda: open_imagenet(root, root / name)


def imagenet_text(root):
    return imagenet(root, "list.txt", "a.jpg 281\nb.jpg Egyptian cat\na.jpg n02123045\n")


def labels(root):
    picture(root / "a.jpg")
    palette(root / "m.png", [[1] * WIDTH] * HEIGHT)
    (root / "labels.csv").write_text(
        "picture,class,x_min,y_min,x_max,y_max,mask\na.jpg,dog,1,1,3.5,4,m.png\na.jpg,cat,,,,,\n"
    )
    return root / "labels.csv", lambda: LabelsConfig(root=root).open(0, PETS)


def identifiers(root):
    (root / "list.txt").write_text("a.jpg\n# a comment\nb/c d.jpg\n")
    return root / "list.txt", lambda: read_list(root / "list.txt")


def class_map(root):
    file = root / "class_map.yaml"
    made = class_map_for("labels", ["cat", "hot dog", "dog"], PETS)
    file.write_text(made.template(PETS))
    return file, lambda: class_map_for("labels", ["cat"], PETS, file)


@pytest.mark.parametrize(
    "make",
    [voc_xml, voc_list, voc_mask, coco, imagenet, imagenet_text, labels, identifiers, class_map],
)
def test_changed_files_are_read_or_refused(tmp_path, monkeypatch, make):
    # A pool of threads for each of hundreds of data sets of one picture would only take time.
    monkeypatch.setattr("data.trees.load", lambda samples, workers: map(load_one, samples))
    file, read = make(tmp_path)
    original = file.read_bytes()
    check(read())
    for changed in text_mutations(original, COUNT, seed=7):
        file.write_bytes(changed)
        try:
            check(read())
        except InputError as error:
            assert len(str(error)) < 3000


def check(found):
    """Read what was opened; a reader that raises anything but SampleError is a fault."""
    if hasattr(found, "samples"):
        for entry in read_all(found)[1]:
            assert entry.message
            assert not re.match(r"\S+\.jpg: \w+: ", entry.message), entry.message


def test_deep_and_large_json(tmp_path):
    file, read = coco(tmp_path)
    document = json.loads(file.read_text())
    for text in ("[" * 100_000, json.dumps({**document, "images": [[]]}), "9" * 5000, "{}", "[]"):
        file.write_text(text)
        with pytest.raises(InputError):
            read()
