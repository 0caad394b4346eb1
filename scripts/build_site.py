"""Build the documentation as a site: README.md, docs/, and pages made of the code.

Links and anchors that lead nowhere, and whatever else MkDocs warns of, end the build.
"""

import argparse
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort
from site_pages import REPOSITORY
from site_pages import api_pages
from site_pages import method_pages
from site_pages import notebook_page
from site_pages import page

START = (
    "own_networks.md",
    "targets.md",
    "own_data.md",
    "which_layer.md",
    "methods.md",
    "coming_from.md",
)
"""The first of the how-to pages; all others of docs/ follow."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "site")
    parser.add_argument("--pages", type=Path, default=REPOSITORY / "build" / "pages")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    nav = write_pages(options.pages)
    config = load_config(
        str(REPOSITORY / "mkdocs.yml"),
        docs_dir=str(options.pages),
        site_dir=str(options.out),
        nav=nav,
        strict=True,
    )
    try:
        build(config)
    except Abort as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


def write_pages(folder: Path) -> list[Any]:
    """Write all pages into a new folder, and return what the site's menu shows."""
    shutil.rmtree(folder, ignore_errors=True)
    docs = REPOSITORY / "docs"
    shutil.copytree(docs, folder, ignore=shutil.ignore_patterns("*.md", "*.ipynb"))
    for name in ("README", "CHANGELOG"):
        target = folder / {"README": "index.md", "CHANGELOG": "changelog.md"}[name]
        target.write_text(page(REPOSITORY / f"{name}.md", folder), "utf-8")
    for source in sorted(docs.rglob("*.md")):
        target = folder / source.relative_to(docs)
        target.write_text(page(source, folder), "utf-8")
    written: dict[str, list[str]] = {"notebooks": [], "methods": [], "api": []}
    for source in sorted((docs / "notebooks").glob("*.ipynb")):
        notebook_page(source, folder / "notebooks")
        written["notebooks"].append(f"notebooks/{source.stem}.md")
    for kind, made in (("methods", method_pages()), ("api", api_pages())):
        for name, text in made.items():
            (folder / kind).mkdir(exist_ok=True)
            (folder / kind / f"{name}.md").write_text(text, "utf-8")
            written[kind].append(f"{kind}/{name}.md")
    others = sorted(file.name for file in docs.glob("*.md") if file.name not in START)
    return [
        {"Start": "index.md"},
        {"How to": [name for name in START if (docs / name).exists()] + others},
        {"Notebooks": written["notebooks"]},
        {"Methods": ["methods.md", *written["methods"]]},
        {"API": written["api"]},
        {"Changelog": "changelog.md"},
    ]


if __name__ == "__main__":
    sys.exit(main())
