"""Make all tables and figures of the paper and of docs/REPRODUCTION.md, and a page of them.

python scripts/reproduce_all.py --demo --voc VOCdevkit/VOC2012 --coco COCO annotations=val.json
"""

import argparse
import sys
from pathlib import Path

import reproduce

SCRIPTS = Path(__file__).resolve().parent
TABLES = {"voc": 1, "coco": 2, "imagenet": 3}


def main() -> None:
    """Run the scripts one after the other; where one fails, go on, and say which did."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, number in TABLES.items():
        parser.add_argument(f"--{name}", nargs="+", help=f"table {number}: FOLDER, then KEY=VALUE")
    parser.add_argument("--figures", metavar="FOLDER", help="the pictures of configs/figure*.yaml")
    parser.add_argument("--demo", action="store_true", help="figures of free photographs")
    parser.add_argument("--keep", action="store_true", help="write docs/results and the report")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="the folder of runs")
    given = parser.parse_args()
    jobs = {"reproduce_report.py": []}
    for name, number in TABLES.items():
        if folder := getattr(given, name):
            jobs[f"reproduce_table{number}.py"] = reproduce.data_options(folder)
            jobs["reproduce_report.py"] += [f"--{name}", *folder]
        else:
            print(f"--{name} is not given, so table {number} is left out")
    if given.demo or given.figures:
        pictures = ["--demo"] if given.demo else ["--set", f"root={given.figures}"]
        jobs |= {f"reproduce_figure{number}.py": pictures for number in range(1, 7)}
    else:
        print("neither --demo nor --figures is given, so the figures are left out")
    asked = {job: [*added, "--out", given.out] for job, added in jobs.items() if added}
    failed = [job for job, added in asked.items() if reproduce.run(SCRIPTS / job, *added)]
    if runs := sorted(file.parent for file in given.out.glob("*/manifest.json")):
        reproduce.run(*reproduce.GUIDEDCAM, "report", *runs, "--out", given.out / "report.html")
        if given.keep:
            reproduce.run(SCRIPTS / "keep_results.py", *runs)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
