"""Keep runs' tables in docs/results, and write the report's numbers and figures anew from there.

python scripts/keep_results.py runs/table1_voc12_resnet50 runs/paired_voc12_resnet50
"""

import argparse
import shutil
from pathlib import Path

import draw_reproduction
import reproduction_numbers

KEPT = ("manifest.json", "network.json", "comparison.csv", "pictures.txt", "pictures.txt.sha256")
TABLES = ("table", "thresholds", "protocols")


def main() -> None:
    """Copy the files of each run, then write the numbers and draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs that are done")
    for run in parser.parse_args().runs:
        keep(run, reproduction_numbers.RESULTS)
    reproduction_numbers.main()
    draw_reproduction.main()


def keep(run: Path, results: Path) -> None:
    """Copy a run's tables, and what says how they came about, but no rows."""
    kept = results / run.name
    kept.mkdir(parents=True, exist_ok=True)
    tables = (f"{table}{suffix}" for table in TABLES for suffix in (".csv", ".md", ".tex"))
    for name in (*KEPT, *tables):
        if (run / name).exists():
            shutil.copy(run / name, kept)


if __name__ == "__main__":
    main()
