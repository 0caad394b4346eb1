"""The site is built without a warning and without a network, and has all that it should have."""

import os
import re
import subprocess
import sys
from dataclasses import fields

import pytest
import yaml
from browser import browser
from common import REPOSITORY

from guidedcam_tf.methods import METHODS

pytest.importorskip("mkdocs")
pytest.importorskip("latex2mathml")
sys.path.insert(0, str(REPOSITORY / "scripts"))
from site_pages import public_names

LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]+src=[\"']?(?:https?:)?//|<link[^>]+href=[\"']?(?:https?:)?//"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built while every proxy leads nowhere."""
    folder = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    command = [sys.executable, REPOSITORY / "scripts/build_site.py", "--out", folder / "site"]
    done = subprocess.run(
        [*command, "--pages", folder / "pages"],
        env={**os.environ, **nowhere, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "site"


def test_every_public_name_is_in_the_reference(site):
    text = "".join(file.read_text("utf-8") for file in (site / "api").glob("*.html"))
    documented = set(re.findall(r'id="(guidedcam_tf[\w.]*)"', text))
    names = [name for found in public_names().values() for name in found]
    assert len(names) > 80
    assert not set(names) - documented


def test_every_method_has_a_page_with_its_formula_and_options(site):
    for name in METHODS:
        text = (site / "methods" / f"{name}.html").read_text("utf-8")
        assert "<math" in text and "passes</strong>" in text, name
        for field in fields(METHODS[name]):
            assert f"<code>{field.name}</code>" in text


def test_formulas_are_of_methods_that_exist():
    assert set(yaml.safe_load((REPOSITORY / "docs/formulas.yaml").read_text("utf-8"))) == set(
        METHODS
    )


def test_nothing_is_loaded_from_elsewhere(site):
    for file in site.rglob("*.html"):
        assert not LOADED.search(file.read_text("utf-8")), file
    for file in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", file.read_text("utf-8")), file


def test_every_page_of_the_repository_is_in_the_menu(site):
    start = (site / "troubleshooting.html").read_text("utf-8")
    for page in (REPOSITORY / "docs").glob("*.md"):
        assert f'href="{page.stem}.html"' in start, page


def test_pictures_have_words(site):
    for file in site.rglob("*.html"):
        for image in re.findall(r"<img[^>]*>", file.read_text("utf-8")):
            assert re.search(r'alt="[^"]{3,}"', image), (file, image)


def test_everyone_can_read_it(site, tmp_path):
    """But for the switches of the theme, which nobody sees."""
    kinds = ("index", "serving", "methods/guided")
    light = (*kinds, "REPRODUCTION", "api/methods")
    with browser(tmp_path) as open_page:
        page = open_page(1440, 900)
        for dark, names in ((False, light), (True, kinds)):
            for name in names:
                page.open(site / f"{name}.html", dark=dark)
                assert page.violations(without=".md-toggle") == "", name
