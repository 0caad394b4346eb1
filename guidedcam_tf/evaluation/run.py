"""A run: a data set through a protocol, rows on disk as they come, then tables and a manifest."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from guidedcam_tf import data
from guidedcam_tf.data.class_map import read_class_map
from guidedcam_tf.data.loading import Loaded
from guidedcam_tf.data.loading import load
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.data.splits import draw
from guidedcam_tf.data.splits import list_sha256
from guidedcam_tf.data.splits import read_list
from guidedcam_tf.data.splits import select
from guidedcam_tf.data.splits import write_list
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import DataConfig
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.config import MethodConfig
from guidedcam_tf.evaluation.groups import Group
from guidedcam_tf.evaluation.groups import group_methods
from guidedcam_tf.evaluation.groups import labelled_method
from guidedcam_tf.evaluation.manifest import environment
from guidedcam_tf.evaluation.paper import paper_values
from guidedcam_tf.evaluation.rows import Row
from guidedcam_tf.evaluation.rows import RowFile
from guidedcam_tf.evaluation.scoring import Scorer
from guidedcam_tf.evaluation.tables import summarise
from guidedcam_tf.evaluation.tables import write_tables
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.files import output_folder
from guidedcam_tf.files import writing
from guidedcam_tf.methods import Method
from guidedcam_tf.metrics import MaskedPredictions
from guidedcam_tf.metrics import MaskRule
from guidedcam_tf.metrics import ObjectMap
from guidedcam_tf.progress import progress

WITHOUT_OBJECTS = ("folder", "imagenet")


def evaluate(config: EvaluationConfig, out: Path, *, limit: int | None = None) -> Path:
    """Run an evaluation, or go on with one that was interrupted.

    Args:
        config: What to do.
        out: The folder of runs; this one's folder in it has the config's name.
        limit: Take only this many of the pictures.

    Returns:
        The run's folder, with `config.yaml`, `pictures.txt` and its SHA-256, `rows.csv`,
        `manifest.json`, `table.csv`, `table.md` and `table.tex`.

    Raises:
        InputError: If the data set, the network or a method cannot be had, if a metric needs what
            the data set has not, or if the folder holds a run of another configuration.
    """
    config = config.resolved()
    of_objects = [each.label for each in config.chosen_metrics if each.evidence is ObjectMap]
    if of_objects and config.data.kind in WITHOUT_OBJECTS:
        raise InputError(
            f"metrics {', '.join(of_objects)} need objects, which data of kind "
            f"{config.data.kind} have not; expected voc2012 or coco2014"
        )
    data_set = open_data(config.data, config.seed)
    if limit is not None:
        data_set = select(data_set, data_set.ids[:limit])
    if not data_set.samples:
        raise InputError(f"data set {config.data.root} has no picture to evaluate")
    methods = dict(labelled_method(entry) for entry in config.methods)
    explainer = config.open()
    folder = output_folder(out / config.name)
    identity = {
        **config.model_dump(mode="json"),
        "layer": explainer.layer,
        "pictures": len(data_set),
        "pictures_sha256": list_sha256(data_set.ids),
    }
    _claim(folder, identity)
    write_list(data_set.ids, folder / "pictures.txt")
    rows = RowFile(folder)
    scorer = Scorer(explainer, config.protocol, config.chosen_metrics, config.batch_size)
    groups = group_methods(methods, _parts(config, data_set))
    _compute(data_set, scorer, groups, rows, config.chunk)
    finish(folder, config, methods, explainer, data_set, rows)
    return folder


def open_data(config: DataConfig, seed: int) -> DataSet:
    """Open the data set of a configuration, and take its list or its sample.

    Raises:
        InputError: If its folder is missing or laid out otherwise.
    """
    if config.kind == "imagenet":
        found = data.open_imagenet(config.root, config.labels)
    elif config.kind == "voc2012":
        found = data.open_voc(config.root, config.split or "val")
    elif config.kind == "coco2014":
        found = data.open_coco(
            config.root,
            config.split or "val2014",
            annotations=config.annotations,
            pictures=config.pictures,
        )
    else:
        found = data.open_folder(config.root)
    if config.list is not None:
        found = select(found, read_list(config.list), str(config.list))
    return found if config.sample is None else draw(found, config.sample, seed)


def _parts(config: EvaluationConfig, data_set: DataSet) -> dict[str, frozenset[str]]:
    """The pictures of each method that takes a part of them only, by the method's label."""
    return {
        labelled_method(entry)[0]: frozenset(draw(data_set, entry.pictures, config.seed).ids)
        for entry in config.methods
        if isinstance(entry, MethodConfig) and entry.pictures is not None
    }


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    """Write the resolved configuration, or make sure that the folder's run has the same."""
    file = folder / "config.yaml"
    if file.exists():
        earlier = yaml.safe_load(file.read_text("utf-8"))
        differing = [key for key in identity if earlier.get(key) != identity[key]]
        if differing:
            raise InputError(
                f"{folder} holds a run with another {', '.join(differing)}; "
                "choose another name or --out, or remove the folder"
            )
        return
    with writing(file) as temporary:
        temporary.write_text(yaml.safe_dump(identity, sort_keys=False), "utf-8")


def _compute(
    data_set: DataSet, scorer: Scorer, groups: list[Group], rows: RowFile, size: int
) -> None:
    chunks = math.ceil(len(data_set) / size)
    first, skipped_groups = divmod(rows.units_done, len(groups))
    loaded = _in_chunks(load(data_set.samples[first * size :]), size)
    bar = progress(range(first, chunks), "evaluating", total=chunks, initial=first)
    for number, entries in zip(bar, loaded, strict=True):
        pictures = [entry for entry in entries if isinstance(entry, Loaded)]
        chunk = scorer.chunk(pictures) if pictures else None
        for place, group in enumerate(groups):
            if number == first and place < skipped_groups:
                continue
            start = time.perf_counter()
            found = scorer.rows(chunk, group) if chunk is not None else []
            if place == 0:
                found = [_skipped_row(e) for e in entries if isinstance(e, Skipped)] + found
            spent = (time.perf_counter() - start) / len(group.methods)
            rows.append(found, dict.fromkeys(group.methods, spent))


def _in_chunks(entries: Iterator[Loaded | Skipped], size: int) -> Iterator[list[Loaded | Skipped]]:
    while chunk := list(islice(entries, size)):
        yield chunk


def _skipped_row(entry: Skipped) -> Row:
    return Row(entry.id, "", None, "", "", "", math.nan, f"{entry.reason}: {entry.message}")


def read_rows(folder: Path) -> pd.DataFrame:
    """Read a run's rows, texts as texts."""
    texts = dict.fromkeys(("image", "class_name", "method", "metric", "area", "note"), "str")
    return pd.read_csv(
        folder / "rows.csv",
        dtype={**texts, "target": "Int64"},
        keep_default_na=False,
        na_values={"value": ["nan"], "target": [""]},
    )


def finish(
    folder: Path,
    config: EvaluationConfig,
    methods: dict[str, Method],
    explainer: Explainer,
    data_set: DataSet,
    rows: RowFile,
) -> None:
    """Make the tables and the manifest from the rows.

    Raises:
        InputError: If no row is a measurement.
    """
    table = read_rows(folder)
    left_out, measured = table[table["metric"] == ""], table[table["metric"] != ""]
    reasons = left_out["note"].str.split(":").str[0].value_counts().sort_index()
    if measured.empty:
        counted = ", ".join(f"{reason}: {count}" for reason, count in reasons.items())
        raise InputError(
            f"nothing could be measured in {len(data_set)} pictures "
            f"({counted or 'no object in any of them'}); {folder / 'rows.csv'} names each"
        )
    summary = summarise(
        measured,
        methods=list(methods),
        unranked=_parts(config, data_set),
        paper=paper_values(config.paper.file, config.paper.table) if config.paper else None,
        resamples=config.bootstrap,
        seed=config.seed,
    )
    pictures = len(data_set) - len(left_out)
    title = f"{config.name}: {config.model}, {explainer.layer}, {pictures} pictures"
    notes = _notes(config, explainer) + _part_notes(config, len(data_set))
    write_tables(summary, folder, title=title, notes=notes)
    manifest = {
        **environment(),
        "model": explainer.network.name,
        "layer": explainer.layer,
        "score": "logit for the maps, softmax for the metrics",
        **config.model_dump(mode="json", include={"methods", "preset", "protocol"}),
        "weights": {
            "source": explainer.network.weights.source,
            "sha256": explainer.network.weights.sha256,
        },
        "data": {
            "kind": data_set.name,
            "pictures": len(data_set),
            "list_sha256": list_sha256(data_set.ids),
            "class_map_sha256": _class_map_hash(config),
        },
        "seed": config.seed,
        "skipped": {str(reason): int(count) for reason, count in reasons.items()},
        "skipped_before_reading": len(data_set.skipped),
        "notes": _counts(table),
        "seconds_by_method": {name: round(spent, 3) for name, spent in rows.seconds.items()},
    }
    with writing(folder / "manifest.json") as temporary:
        temporary.write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")


def _notes(config: EvaluationConfig, explainer: Explainer) -> list[str]:
    protocol, kinds = config.protocol, {each.evidence for each in config.chosen_metrics}
    choices = [f"mask: {MaskRule(protocol.mask.kind, protocol.mask.value)}"]
    if MaskedPredictions in kinds:
        choices.append(f"fill: {protocol.fill}")
    if kinds - {ObjectMap}:
        choices.append(f"class of the zone metrics: {protocol.zone_class}")
    if ObjectMap in kinds:
        choices.append(f"class of the object metrics: {protocol.object_class}")
    if "pointing_game" in config.metrics:
        truth = f"pointing game: {protocol.pointing_truth}"
        choices.append(f"{truth}, tolerance {protocol.tolerance:g} pixels")
    notes = [
        f"Protocol: {'; '.join(choices)}.",
        "Intervals in table.csv are bootstrap 95 % over pictures.",
    ]
    if explainer.pipeline.view.pools_globally:
        notes.append(
            f"{explainer.network.name} pools globally after {explainer.layer}: the gradient there "
            "is constant in space, so gradcam, xgradcam and hirescam are the same map and guided "
            "is its square. Where only the order of pixels counts (area-matched rows, pointing "
            "game) they tie, but for what resampling a squared map changes."
        )
    return notes


def _part_notes(config: EvaluationConfig, pictures: int) -> list[str]:
    return [
        f"{labelled_method(entry)[0]} is measured on {min(entry.pictures, pictures)} of the "
        f"pictures, drawn with seed {config.seed}, so it is not ranked."
        for entry in config.methods
        if isinstance(entry, MethodConfig) and entry.pictures is not None
    ]


def _counts(table: pd.DataFrame) -> dict[str, int]:
    noted = table.loc[(table["note"] != "") & (table["metric"] != ""), "note"]
    return {str(note): int(count) for note, count in noted.value_counts().sort_index().items()}


def _class_map_hash(config: EvaluationConfig) -> str | None:
    if config.data.kind not in ("voc2012", "coco2014"):
        return None
    return read_class_map(config.data.kind).sha256
