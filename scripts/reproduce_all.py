"""Make all tables and figures of the paper and of docs/REPRODUCTION.md, and a page of them.

python scripts/reproduce_all.py --demo --voc VOCdevkit/VOC2012 --coco COCO --imagenet FOLDER
"""

import argparse
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
TABLES = {"voc": 1, "coco": 2, "imagenet": 3}


def main() -> None:
    """Run the scripts one after the other; where one fails, go on, and say which did."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, number in TABLES.items():
        parser.add_argument(f"--{name}", metavar="FOLDER", help=f"the data set of table {number}")
    parser.add_argument("--figures", metavar="FOLDER", help="the pictures of configs/figure*.yaml")
    parser.add_argument("--demo", action="store_true", help="figures of free photographs")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="the folder of runs")
    given = parser.parse_args()
    jobs = {"reproduce_report.py": []}
    for name, number in TABLES.items():
        if folder := getattr(given, name):
            jobs[f"reproduce_table{number}.py"] = ["--set", f"data.root={folder}"]
            jobs["reproduce_report.py"] += [f"--{name}", folder]
        else:
            print(f"--{name} is not given, so table {number} is left out")
    if given.demo or given.figures:
        pictures = ["--demo"] if given.demo else ["--set", f"root={given.figures}"]
        jobs |= {f"reproduce_figure{number}.py": pictures for number in range(1, 7)}
    else:
        print("neither --demo nor --figures is given, so the figures are left out")
    asked = [job for job in jobs if jobs[job]]
    failed = [job for job in asked if run(SCRIPTS / job, *jobs[job], "--out", given.out)]
    if runs := sorted(file.parent for file in given.out.glob("*/manifest.json")):
        run("-m", "guidedcam_tf", "report", *runs, "--out", given.out / "report.html")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def run(*arguments: str | Path) -> int:
    """Run Python with arguments, and return its exit code."""
    return subprocess.run([sys.executable, *arguments], check=False).returncode


if __name__ == "__main__":
    main()
