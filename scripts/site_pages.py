"""The pages of the site: those of the repository, and those made of notebooks and of the code."""

import base64
import importlib
import os
import re
import shutil
from dataclasses import fields
from html import escape
from pathlib import Path

import nbformat
import yaml
from latex2mathml.converter import convert

import guidedcam_tf
from guidedcam_tf.figures.style import method_title
from guidedcam_tf.methods import METHODS

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
MOVED = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}
ROOMS = ("methods", "metrics", "networks", "data", "ops", "runtimes")
CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.S)
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)#\s]*)(#[^)\s]*)?\)")
COLUMNS = ("year", "paper", "explains", "passes", "runtimes", "networks", "when to use it")
GREY = " White is the map's 99th percentile: `guidedcam_tf.overlay.in_grey` draws it."


def page(source: Path, folder: Path) -> str:
    """A page of the repository, its links and formulas as the site needs them."""
    inside = Path(MOVED[source.name]) if source.name in MOVED else source.relative_to(DOCS)
    parts = CODE.split(source.read_text("utf-8"))
    text = "".join(part if at % 2 else formulas(part) for at, part in enumerate(parts))
    return LINK.sub(lambda found: link(found, source.parent, folder, inside.parent), text)


def formulas(text: str) -> str:
    """LaTeX between dollars as MathML, which browsers show by themselves."""
    text = re.sub(r"\$\$(.+?)\$\$", lambda found: formula(found[1]), text, flags=re.S)
    return re.sub(r"\$([^$\n]+)\$", lambda found: convert(found[1]), text)


def formula(latex: str) -> str:
    """A formula on a line of its own."""
    return f'\n<div class="formula">{convert(" ".join(latex.split()), display="block")}</div>\n'


def link(found: re.Match[str], start: Path, folder: Path, inside: Path) -> str:
    """A link within the repository as one within the site; its words alone if there is no page."""
    mark, words, target, anchor = found[1], found[2], found[3], found[4] or ""
    path = (start / target).resolve()
    if not path.exists():
        return found[0]  # MkDocs names it
    if path.is_dir():
        path /= "explain_resnet50.ipynb" if path.name == "notebooks" else ""
    if path.is_dir() or (path.parent == REPOSITORY and path.name not in MOVED):
        return words
    if path.is_relative_to(DOCS):
        place = path.relative_to(DOCS)
    elif path.name in MOVED:
        place = Path(MOVED[path.name])
    else:
        place = "files" / path.relative_to(REPOSITORY)
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / place)
    if place.suffix == ".ipynb":
        place = place.with_suffix(".md")
    return f"{mark}[{words}]({os.path.relpath(place, inside)}{anchor})"


def notebook_page(source: Path, folder: Path) -> None:
    """Write a notebook as a page, with what it shows."""
    parts = []
    for at, cell in enumerate(nbformat.read(source, as_version=4).cells):
        if cell.cell_type == "markdown":
            parts.append(LINK.sub(_to_page, cell.source))
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.outputs:
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/jpeg" in data:
                image = folder / f"{source.stem}_{at}.jpg"
                image.write_bytes(base64.b64decode(data["image/jpeg"]))
                parts.append(f"![What the lines above show]({image.name})")
            elif "text/html" in data:
                html = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.S)
                parts.append("\n".join(line for line in html.splitlines() if line.strip()))
            else:
                parts.append(f"```text\n{data['text/plain'].rstrip()}\n```")
    (folder / f"{source.stem}.md").write_text("\n\n".join(parts) + "\n", "utf-8")


def _to_page(found: re.Match[str]) -> str:
    return found[0].replace(".ipynb", ".md")


def method_pages() -> dict[str, str]:
    """A page for each method of the registry, from docs/methods.md and docs/formulas.yaml."""
    text = (DOCS / "methods.md").read_text("utf-8")
    rows = {
        name: dict(zip(COLUMNS, (cell.strip() for cell in rest.split("|")), strict=False))
        for name, rest in re.findall(r"^\| `([^`]+)` \|(.+)\|$", text, re.M)
    }
    sections = {
        name: body.strip()
        for head, body in re.findall(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", text, re.M | re.S)
        for name in head.partition(":")[0].split(", ")
    }
    computed = yaml.safe_load((DOCS / "formulas.yaml").read_text("utf-8"))
    return {
        name: _method_page(name, rows.get(name, {}), sections.get(name, ""), computed.get(name, {}))
        for name in METHODS
    }


def _method_page(name: str, row: dict[str, str], section: str, computed: dict) -> str:
    method = METHODS[name]
    lines = [f"# {method_title(name)}", f"`{name}`: {method.reference}.", ""]
    lines += [f"- **{column}**: {row[column]}" for column in COLUMNS[2:] if row.get(column)]
    lines += ["", "## Formula", *map(formula, computed.get("formula", ()))]
    if "identity" in computed:
        lines += ["## Identity", formula(computed["identity"])]
    lines += ["[Symbols](../methods.md#symbols)", ""]
    if (DOCS / "images" / "methods" / f"{name}.jpg").exists():
        chosen = ", ".join(f"{key}={value}" for key, value in computed.get("picture", {}).items())
        lines += [
            f"![{method_title(name)} for two targets](../images/methods/{name}.jpg)",
            "",
            '*ResNet50 at `conv5_block3_out`, for "Egyptian cat" and for "espresso"'
            f"{f', with {chosen}' if chosen else ''}.{GREY if computed.get('grey') else ''}*",
        ]
    lines += ["", "## About it", section or (method.__doc__ or ""), "", "## Options", ""]
    lines += [
        f"- `{each.name}` (default `{each.default!r}`): {escape(each.metadata['help'])}"
        for each in fields(method)
    ] or ["None."]
    reference = f"{method.__module__}.{method.__qualname__}"
    return "\n".join([*lines, "", f"In the reference: [`{reference}`][{reference}]", ""])


def api_pages() -> dict[str, str]:
    """The reference: a page for the package's names, and one for each room that lists its own."""
    return {
        name or "package": "\n".join(
            [
                f"# {'guidedcam_tf' + (name and '.' + name)}",
                "",
                *(f"::: {each}\n" for each in found),
            ]
        )
        for name, found in public_names().items()
    }


def public_names() -> dict[str, list[str]]:
    """By room, the full names of what `__all__` lists; of the package itself under `""`."""
    names = {}
    for room in ("", *ROOMS):
        module = importlib.import_module("guidedcam_tf" + (room and "." + room))
        names[room] = [_home(module, name) for name in module.__all__]
    seen = set()
    for room, found in names.items():
        names[room] = [name for name in found if not (name in seen or seen.add(name))]
    return names


def _home(module: object, name: str) -> str:
    found = getattr(module, name)
    home = getattr(found, "__module__", None)
    if not isinstance(home, str) or not home.startswith(guidedcam_tf.__name__):
        home = module.__name__
    return f"{home}.{name}"
