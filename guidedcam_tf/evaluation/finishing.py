"""From a run's shards to its rows, tables and manifest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from guidedcam_tf.data.splits import list_sha256
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.config import MethodConfig
from guidedcam_tf.evaluation.job import Job
from guidedcam_tf.evaluation.manifest import environment
from guidedcam_tf.evaluation.measuring.evidence import zero_is_black
from guidedcam_tf.evaluation.rows import EMPTY_MAP
from guidedcam_tf.evaluation.rows import read_left_out
from guidedcam_tf.evaluation.rows import read_rows
from guidedcam_tf.evaluation.tables.comparing import compare
from guidedcam_tf.evaluation.tables.paper import paper_values
from guidedcam_tf.evaluation.tables.ranking import mean_ranks
from guidedcam_tf.evaluation.tables.summary import by_class
from guidedcam_tf.evaluation.tables.summary import summarise
from guidedcam_tf.evaluation.tables.summary import told_apart
from guidedcam_tf.evaluation.tables.writing import write_csv
from guidedcam_tf.evaluation.tables.writing import write_tables
from guidedcam_tf.evaluation.work.units import Making
from guidedcam_tf.evaluation.work.units import Unit
from guidedcam_tf.evaluation.work.units import gather
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.files import writing
from guidedcam_tf.metrics import MaskedPredictions
from guidedcam_tf.metrics import MaskRule
from guidedcam_tf.metrics import ObjectMap


def finish(folder: Path, job: Job, failed: Sequence[tuple[Unit, str]]) -> None:
    """Make rows, tables and manifest from the shards.

    Args:
        folder: The run's folder.
        job: The run.
        failed: The units that gave no shard.

    Raises:
        InputError: If no row is a measurement.
    """
    config, before = job.config, job.data_set.skipped
    making = gather(folder, job.units, before)
    rows, left_out = read_rows(folder), read_left_out(folder)
    reasons = left_out.drop_duplicates(["image", "reason"])["reason"].value_counts().sort_index()
    if rows.empty:
        counted = ", ".join(f"{reason}: {count}" for reason, count in reasons.items())
        names = f"; {folder / 'skipped.csv'} names each" if counted else ""
        errors = "".join(f"; {line}" for line in dict.fromkeys(line for _, line in failed))
        raise InputError(
            f"nothing could be measured in {len(job.data_set)} pictures "
            f"({counted or 'no object in any of them'}){names}{errors}"
        )
    rows = told_apart(rows, _shared_names(job))
    summary = summarise(
        rows,
        methods=list(job.methods),
        unranked=job.parts,
        paper=paper_values(config.paper.file, config.paper.table) if config.paper else None,
        resamples=config.bootstrap,
        seed=config.seed,
    )
    unread = left_out[len(before) :].loc[left_out["methods"] == "", "image"]
    pictures = len(job.data_set) - unread.nunique()
    where = ", ".join(filter(None, [str(config.model), job.layer]))
    title = f"{config.name}: {where}, {pictures} pictures"
    against_best = _compare(folder, config, rows, summary)
    remarks = [
        *_network_notes(job.explainer),
        *part_notes(config, len(job.data_set)),
        *_gap_notes(left_out, failed),
        *_pair_notes(rows),
        *_uneven_notes(summary),
        *_test_notes(config, against_best),
        *_making_notes(making),
    ]
    notes = [_protocol_note(config, job.explainer), *remarks]
    write_tables(summary, folder, title=title, notes=notes, comparison=against_best)
    write_csv(by_class(rows, summary), folder / "classes.csv")
    write_csv(mean_ranks(rows, summary), folder / "ranks.csv")
    _write_manifest(folder, job, rows, reasons, making, remarks)


def _shared_names(job: Job) -> set[str]:
    """The names of several of the network's classes that are no object's."""
    counts, objects = Counter(job.classes.names), job.data_set.class_map
    shared = {name for name, count in counts.items() if count > 1}
    return shared - (objects.class_ids.keys() if objects else set())


def _compare(
    folder: Path, config: EvaluationConfig, rows: pd.DataFrame, summary: pd.DataFrame
) -> pd.DataFrame:
    """Write `comparison.csv`, and return the part that compares with the best method."""
    best, chosen = (
        compare(rows, summary, reference=reference, resamples=config.bootstrap, seed=config.seed)
        for reference in (None, config.compare_to)
    )
    both = best if config.compare_to is None else pd.concat([best, chosen]).drop_duplicates()
    write_csv(both, folder / "comparison.csv")
    return best


def _write_manifest(
    folder: Path,
    job: Job,
    rows: pd.DataFrame,
    reasons: pd.Series,
    making: Making,
    remarks: Sequence[str],
) -> None:
    config, explainer = job.config, job.explainer
    manifest = {
        **environment(),
        "model": explainer.network.name,
        "layer": job.layer,
        "runtime": explainer.pipeline.runtime.name,
        "precision": explainer.pipeline.runtime.precision,
        "score": "logit for the maps, softmax for the metrics",
        **config.model_dump(mode="json", include={"methods", "preset", "protocol"}),
        "weights": {
            "source": explainer.network.weights.source,
            "sha256": explainer.network.weights.sha256,
        },
        "data": {
            "kind": job.data_set.name,
            "pictures": len(job.data_set),
            "list_sha256": list_sha256(job.data_set.ids),
            "class_map_sha256": getattr(job.data_set.class_map, "sha256", None) or None,
        },
        "seed": config.seed,
        "skipped": {str(reason): int(count) for reason, count in reasons.items()},
        "skipped_before_reading": len(job.data_set.skipped),
        "notes": _counts(rows),
        "remarks": list(remarks),
        "seconds_by_method": {name: round(spent, 3) for name, spent in making.seconds.items()},
        "units_made_with": dict(making.made_with),
    }
    with writing(folder / "manifest.json") as temporary:
        temporary.write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")


def _protocol_note(config: EvaluationConfig, explainer: Explainer) -> str:
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
    if protocol.fill == "mean" and zero_is_black(explainer.network):
        choices.append("the mean colour is each picture's own, as 0 is black for the network")
    return f"Protocol: {'; '.join(choices)}."


def _network_notes(explainer: Explainer) -> list[str]:
    notes = ["Intervals in table.csv are bootstrap 95 % over pictures."]
    if explainer.pipeline.view.pools_globally:
        notes.append(
            f"{explainer.network.name} pools globally after {explainer.layer}: the gradient there "
            "is constant in space, so gradcam, xgradcam and hirescam are the same map and guided "
            "is its square. Where only the order of pixels counts (area-matched rows, pointing "
            "game) they tie, but for what resampling a squared map changes."
        )
    return notes


def part_notes(config: EvaluationConfig, pictures: int) -> list[str]:
    """Say of each method that saw a part of so many pictures that it did."""
    return [
        f"{entry.label} is measured on {min(entry.pictures, pictures)} of the "
        f"pictures, drawn with seed {config.seed}, so it is not ranked."
        for entry in config.methods
        if isinstance(entry, MethodConfig) and entry.pictures is not None
    ]


def _gap_notes(left_out: pd.DataFrame, failed: Sequence[tuple[Unit, str]]) -> list[str]:
    """Say how many pictures are left out, and which methods have gaps that others have not."""
    notes = [
        f"{methods}: {count} pictures failed; skipped.csv names them."
        if methods
        else f"{count} pictures are left out; skipped.csv names them."
        for methods, count in left_out["methods"].value_counts(sort=False).items()
    ]
    return notes + [
        f"{', '.join(unit.methods)}: unit {unit.name} failed, so its pictures are missing ({line})."
        for unit, line in failed
    ]


def _pair_notes(rows: pd.DataFrame) -> list[str]:
    """Say of how many pairs a metric has no value, or one by another truth, and why."""
    noted = rows[~rows["note"].isin(["", EMPTY_MAP])]
    pairs = noted.drop_duplicates(["image", "class_name", "metric", "note"])
    counts = pairs.assign(has=pairs["value"].notna()).groupby(["note", "has", "metric"], sort=False)
    metrics = counts.size().rename("pairs").reset_index().groupby(["note", "has", "pairs"])
    return [
        f"{', '.join(alike['metric'])}, {count} of the pairs of picture and object: "
        f"{'' if has else 'no value, '}{note}."
        for (note, has, count), alike in metrics
    ]


def _uneven_notes(summary: pd.DataFrame) -> list[str]:
    """Say which ranked methods have a metric's value of fewer pairs than others."""
    ranked = summary[summary["rank_ours"].notna() & (summary["area"] == "")]
    notes = []
    for metric, lines in ranked.groupby("metric", sort=False):
        most = lines["pairs"].max()
        fewer = lines[lines["pairs"] < most]
        listed = ", ".join(f"{line.method} of {line.pairs}" for line in fewer.itertuples())
        if listed:
            notes.append(
                f"{metric} is the mean of {most} pairs, but that of {listed}, which may be the "
                "easier ones: comparison.csv has the differences on the same pairs."
            )
    return notes


def _test_notes(config: EvaluationConfig, compared: pd.DataFrame) -> list[str]:
    """Say where there are too few resamples for a test."""
    if not (compared["p_holm"].isna() & (compared["pictures"] > 0)).any():
        return []
    return [
        f"bootstrap: {config.bootstrap} are too few resamples to tell methods apart, so none is "
        "said to be alike."
    ]


def _making_notes(making: Making) -> list[str]:
    """Say where the units of one run were not all computed by the same code."""
    if len(making.made_with) < 2:
        return []
    counted = [
        f"{units} with {state or 'one not noted'}" for state, units in making.made_with.items()
    ]
    return [f"Units were computed with different versions: {'; '.join(counted)}."]


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    noted = rows.loc[rows["note"] != "", "note"]
    return {str(note): int(count) for note, count in noted.value_counts().sort_index().items()}
