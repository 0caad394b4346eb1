"""The class map holds what it says, and every name of both data sets."""

import pytest

from guidedcam_tf.data import read_class_map
from guidedcam_tf.data.voc import CLASSES
from guidedcam_tf.networks.classes import imagenet_classes

NAMES = imagenet_classes().names

COCO_NAMES = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, "
    "fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, "
    "bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, "
    "sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, "
    "bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, "
    "carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, "
    "tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, "
    "refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush"
)
COCO = COCO_NAMES.split(", ")


@pytest.mark.parametrize(
    ("data_set", "names", "unmapped"), [("voc2012", CLASSES, 1), ("coco2014", COCO, 17)]
)
def test_every_name_is_mapped_or_unmapped_with_a_reason(data_set, names, unmapped):
    class_map = read_class_map(data_set)
    assert tuple(class_map.class_ids) == tuple(names)
    assert len(class_map.unmapped) == unmapped
    for name, indices in class_map.class_ids.items():
        assert bool(indices) != bool(class_map.unmapped.get(name))
        assert all(0 <= index < 1000 for index in indices)
        assert list(indices) == sorted(set(indices))


@pytest.mark.parametrize("data_set", ["voc2012", "coco2014"])
def test_no_class_stands_for_two_names(data_set):
    indices = [index for ids in read_class_map(data_set).class_ids.values() for index in ids]
    assert len(indices) == len(set(indices))


def test_the_coco_names_are_the_data_set_s(data_folder):
    import json

    document = json.loads((data_folder / "coco" / "instances.json").read_text())
    assert [entry["name"] for entry in document["categories"]] == COCO


MEANT = {
    "bird": ["cock", "ostrich", "great grey owl", "hummingbird", "drake", "king penguin", "crane"],
    "boat": ["canoe", "gondola", "schooner", "yawl", "liner", "catamaran"],
    "bottle": ["beer bottle", "wine bottle", "water bottle", "pill bottle"],
    "bus": ["school bus", "minibus", "trolleybus"],
    "car": ["convertible", "cab", "sports car", "minivan", "beach wagon"],
    "cat": ["tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat"],
    "chair": ["folding chair", "rocking chair", "barber chair", "throne"],
    "dog": ["Chihuahua", "Labrador retriever", "bull mastiff", "Mexican hairless"],
    "horse": ["sorrel"],
    "cow": ["ox"],
    "train": ["bullet train", "steam locomotive", "passenger car"],
}

MISTAKEN = {
    "bird": ["African crocodile", "wing", "birdhouse", "killer whale"],
    "boat": ["boathouse", "paddle", "dock"],
    "bus": ["streetcar", "passenger car"],
    "car": ["passenger car", "freight car", "car wheel", "car mirror", "go-kart", "pickup"],
    "cat": ["cougar", "lion", "Madagascar cat", "lynx"],
    "chair": ["park bench", "studio couch"],
    "dog": ["timber wolf", "dingo", "African hunting dog", "hotdog"],
    "horse": ["zebra", "horse cart"],
    "cow": ["water buffalo", "bison"],
    "train": ["streetcar"],
}


@pytest.mark.parametrize("data_set", ["voc2012", "coco2014"])
@pytest.mark.parametrize("name", MEANT)
def test_spot_checks(data_set, name):
    called = [NAMES[index] for index in read_class_map(data_set).find(name)]
    assert {*MEANT[name], *MISTAKEN.get(name, [])} <= set(NAMES)
    assert set(MEANT[name]) <= set(called)
    assert not set(MISTAKEN.get(name, [])) & set(called)


def test_birds_are_the_three_runs_of_birds():
    birds = read_class_map("voc2012").find("bird")
    assert birds == (*range(7, 25), *range(80, 101), *range(127, 147))
    # What stands beside the runs is no bird.
    beside = [NAMES[index] for index in (6, 25, 79, 101, 126, 147)]
    assert beside == [
        "stingray",
        "European fire salamander",
        "centipede",
        "tusker",
        "isopod",
        "grey whale",
    ]
    assert len(read_class_map("voc2012").find("dog")) == 118


def test_homonyms():
    coco, wnids = read_class_map("coco2014"), imagenet_classes().wnids
    assert [wnids[index] for index in coco.find("mouse")] == ["n03793489"]  # the computer's
    assert "kite" in coco.unmapped  # ImageNet's is the bird
    assert NAMES.index("kite") in coco.find("bird")
    cranes = [index for index, name in enumerate(NAMES) if name == "crane"]
    assert [index in coco.find("bird") for index in cranes] == [True, False]
    assert 726 not in coco.find("airplane")  # the carpenter's plane
    assert 681 in coco.find("laptop")  # the notebook computer


def test_what_voc_s_annotators_counted_in_and_out():
    voc, coco = read_class_map("voc2012"), read_class_map("coco2014")
    assert set(voc.find("bicycle")) - set(coco.find("bicycle")) == {870, 880}
    assert set(coco.find("car")) - set(voc.find("car")) == {407}


def test_people_are_unmapped():
    for data_set in ("voc2012", "coco2014"):
        class_map = read_class_map(data_set)
        assert class_map.find("person") == ()
        assert "ballplayer" in class_map.unmapped["person"]
    assert read_class_map("voc2012").find("unicorn") == ()


def test_the_hash_is_the_file_s():
    import hashlib
    from importlib.resources import files

    data = files("guidedcam_tf.data").joinpath("class_map.yaml").read_bytes()
    assert read_class_map("voc2012").sha256 == hashlib.sha256(data).hexdigest()


def test_a_map_of_one_s_own(tmp_path):
    file = tmp_path / "map.yaml"
    file.write_text("voc2012:\n  cat: {classes: [284 Siamese cat, 281-282 tabby .. tiger cat]}\n")
    assert read_class_map("voc2012", file).class_ids == {"cat": (281, 282, 284)}


BAD = {
    "missing": (None, "cannot be read"),
    "no yaml": ("a: [", "cannot be read"),
    "list": ("[1]", "no map of 'voc2012'; it holds no maps"),
    "other": ("coco2014: {}", "no map of 'voc2012'; it holds coco2014"),
    "another's name": ("{classes: [281 lion]}", "'281 lion' should be called '281|'tabby'"),
    "half a range": ("{classes: [281-285 tabby]}", r"should be called 'tabby \.\. Egyptian cat'"),
    "too large": ("{classes: [1000 x]}", "not a range of indices from 0 to 999"),
    "reversed": ("{classes: [285-281 x]}", "not a range of indices"),
    "no index": ("{classes: [tabby]}", "expected an index and its name; received 'tabby'"),
    "twice": ("{classes: [281 tabby, 281 tabby]}", "281 also stands for 'cat'"),
    "neither": ("{note: x}", "expected either 'classes'.*or 'unmapped'"),
    "both": ("{classes: [281 tabby], unmapped: x}", "expected either"),
    "unknown key": ("{clases: [281 tabby]}", "expected either"),
    "number": ("{classes: [281]}", "expected either"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_maps_are_refused(tmp_path, name):
    text, message = BAD[name]
    file = tmp_path / "map.yaml"
    if text is not None:
        file.write_text(f"voc2012: {{cat: {text}}}" if text.startswith("{") else text)
    with pytest.raises(ValueError, match=message) as caught:
        read_class_map("voc2012", file)
    assert str(file) in str(caught.value)
