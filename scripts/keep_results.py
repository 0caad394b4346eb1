"""Keep runs' tables in docs/results, and write the report's numbers and figures anew from there.

python scripts/keep_results.py runs/table1_voc12_resnet50 runs/paired_voc12_resnet50
"""

import argparse
import shutil
from pathlib import Path

import draw_reproduction
import reproduction_numbers

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.run_files import read_manifest
from guidedcam_tf.evaluation.status import status

KEPT = ("manifest.json", "network.json", "comparison.csv", "pictures.txt", "pictures.txt.sha256")
TABLES = ("table", "thresholds", "protocols", "bfloat16")


def main() -> None:
    """Copy the files of each run, then write the numbers and draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs that are done")
    runs = [run.resolve() for run in parser.parse_args().runs]
    try:
        for run in runs:
            check(run)
    except InputError as error:
        parser.error(str(error))
    for run in runs:
        keep(run, reproduction_numbers.RESULTS)
    reproduction_numbers.main()
    draw_reproduction.main()


def check(run: Path) -> None:
    """Refuse a folder without tables, and a run whose tables are not of all its units.

    Raises:
        InputError: As said, with the way out.
    """
    if not any((run / f"{table}.csv").is_file() for table in TABLES):
        raise InputError(f"{run} has no table: expected the folder of a run that is done")
    if not (run / "units.csv").is_file():
        return
    if (found := status(run)).missing + found.failed:
        raise InputError(f"{run} is not finished: {found.lines()[0]}")
    made = sum(read_manifest(run).get("units_made_with", {}).values())
    if made != len(found.done):
        raise InputError(
            f"{run} has tables of {made} of its {len(found.done)} units, as manifest.json says; "
            "run the same command again, which makes them anew from what is done"
        )


def keep(run: Path, results: Path) -> None:
    """Copy a run's tables and what says how they came about, no rows, and remove what it lacks."""
    kept = results / run.name
    kept.mkdir(parents=True, exist_ok=True)
    tables = (f"{table}{suffix}" for table in TABLES for suffix in (".csv", ".md", ".tex"))
    for name in (*KEPT, *tables):
        if (run / name).exists():
            shutil.copy(run / name, kept)
        else:
            (kept / name).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
