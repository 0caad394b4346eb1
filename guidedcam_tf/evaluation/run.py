"""A run: a configuration's units through an executor, then tables and a manifest."""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import yaml

from guidedcam_tf.data.contents import contents_of
from guidedcam_tf.data.splits import list_sha256
from guidedcam_tf.data.splits import write_list
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.evaluation.class_maps import settle_classes
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.config import read_config_of
from guidedcam_tf.evaluation.finishing import finish
from guidedcam_tf.evaluation.job import Job
from guidedcam_tf.evaluation.job import open_job
from guidedcam_tf.evaluation.run_files import read_configuration
from guidedcam_tf.evaluation.status import status
from guidedcam_tf.evaluation.status import write_plan
from guidedcam_tf.evaluation.work.executors import Work
from guidedcam_tf.evaluation.work.executors import get_executor
from guidedcam_tf.evaluation.work.lock import held
from guidedcam_tf.evaluation.work.lock import refuse_held
from guidedcam_tf.evaluation.work.units import Shards
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.files import output_folder
from guidedcam_tf.files import writing
from guidedcam_tf.networks.weights import fingerprint
from guidedcam_tf.progress import progress_bar
from guidedcam_tf.storage import as_path


def evaluate(
    config: EvaluationConfig,
    out: Path,
    *,
    limit: int | None = None,
    explainer: Explainer | None = None,
) -> Path:
    """Run an evaluation, or continue one that was interrupted.

    Args:
        config: What to do.
        out: The folder of runs; this one's folder in it has the config's name.
        limit: Take only this many of the pictures.
        explainer: The configuration's network where it is open already, as for several protocols.

    Returns:
        The run's folder, with `config.yaml`, `pictures.txt` and its SHA-256, `units.csv`,
        `shards/`, `rows.csv`, `skipped.csv`, `manifest.json`, `table.csv`, `table.md`,
        `table.tex`, `comparison.csv`, `classes.csv` and `ranks.csv`. Units that failed are not in
        the tables; `status.status` names them.

    Raises:
        InputError: If the data set, the network or a method cannot be had, if a metric needs what
            the data set has not, if the folder holds a run of another configuration, or if another
            process works on it.
    """
    execute = get_executor(config.executor.kind)
    folder = as_path(out) / config.name
    refuse_held(folder)
    job = open_job(config, limit, explainer)
    with held(output_folder(folder)):
        settle_classes(job, folder)
        _claim(folder, _identity(job))
        write_list(job.data_set.ids, folder / "pictures.txt")
        write_plan(folder, job.units)
        shards = Shards(folder)
        done = _unchanged(job, shards.done())
        missing = [unit for unit in job.units if unit.name not in done]
        if missing:
            before = len(job.units) - len(missing)
            with progress_bar(
                "evaluating", total=len(job.units), initial=before, unit="unit"
            ) as bar:
                work = Work(job, missing, config.executor, folder, bar.set_postfix)
                for unit, result in execute(work):
                    shards.write(unit, result)
                    bar.update()
        finish(folder, job, status(folder).failed)
    return folder


def _unchanged(job: Job, done: dict[str, dict[str, str]]) -> set[str]:
    """Leave out units of whose pictures or annotations one is another than when it was read."""
    noted = {name for contents in done.values() for name in contents}
    now = contents_of(sample for sample in job.data_set.samples if sample.id in noted)
    changed = {
        unit: [name for name, content in contents.items() if now.get(name) != content]
        for unit, contents in done.items()
    }
    names = list(dict.fromkeys(name for found in changed.values() for name in found))
    if names:
        warnings.warn(
            f"{len(names)} of {len(noted)} pictures, or their annotations, are not what they were "
            f"when they were measured, {names[0]!r} the first; their units are computed again",
            stacklevel=3,
        )
    return {unit for unit, found in changed.items() if not found}


def _identity(job: Job) -> dict[str, Any]:
    """What makes a run this one and no other: all but who computes it."""
    data_set, classes, config = job.data_set, job.classes, job.config
    network = job.explainer.network
    module = sys.modules.get(config.custom_objects or "")
    class_map = data_set.class_map and sorted(data_set.class_map.class_ids.items())
    return {
        **config.model_dump(mode="json", exclude={"executor"}),
        "layer": list(job.layers) or job.explainer.layer,
        "pictures": len(data_set),
        "pictures_sha256": list_sha256(data_set.ids),
        "weights_sha256": network.weights.sha256 or fingerprint(network.model),
        "fixed_inputs_sha256": _of_file(config.fixed_inputs),
        "custom_objects_sha256": _of_file(getattr(module, "__file__", None)),
        "class_names_sha256": _sha256(json.dumps([classes.names, classes.wnids]).encode()),
        "class_map_sha256": _sha256(json.dumps(class_map).encode()),
        "annotations_sha256": [_of_file(file) for file in data_set.lists],
    }


def _of_file(file: Path | str | None) -> str | None:
    return None if file is None else _sha256(as_path(file).read_bytes())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    """Write the resolved configuration, or make sure that the folder's run has the same."""
    file = folder / "config.yaml"
    if file.exists():
        earlier = _earlier(folder)
        if differing := _differing(earlier, identity):
            raise InputError(
                f"{folder} holds a run with another {', '.join(differing)}; "
                "choose another name or --out, or remove the folder"
            )
        return
    with writing(file) as temporary:
        temporary.write_text(yaml.safe_dump(identity, sort_keys=False), "utf-8")


def _differing(earlier: dict[str, Any], now: dict[str, Any], within: str = "") -> list[str]:
    """What differs, with both values; of a digest, and of what has keys of its own, the names."""
    named = []
    for key, value in now.items():
        before, plain = earlier.get(key, value), key.removesuffix("_sha256")
        if before == value:
            continue
        if isinstance(before, dict) and isinstance(value, dict) and before.keys() == value.keys():
            named += _differing(before, value, f"{within}{key}.")
        elif plain != key:
            if earlier.get(plain, now.get(plain)) == now.get(plain):
                named.append(plain.replace("_", " "))
        else:
            named.append(f"{within}{key} ({shown(before)}, now {shown(value)})")
    return named


def _earlier(folder: Path) -> dict[str, Any]:
    """What a folder's run was, with the defaults of keys that did not exist when it was begun."""
    raw = read_configuration(folder)
    try:
        config = read_config_of(folder)
    except InputError:
        return raw
    return raw | config.model_dump(mode="json", exclude={"executor"})
