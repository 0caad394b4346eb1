"""The page as people use it: the real command, a real browser, a small network."""

import io
import runpy
import subprocess
import sys
import urllib.request
from functools import cache

import numpy as np
import pytest
from browser import browser
from common import build_toy
from PIL import Image

from guidedcam_tf.explainer import Explainer

pytest.importorskip("gradio", reason="the extra app is not installed")

NAMES = ["ant", "bee", "cat"]

SERVE = """
import sys
asked = open(sys.argv.pop(1), "a", buffering=1)

def note(event, given):
    if event in ("socket.connect", "socket.sendto"):
        print(given[1], file=asked)
    if event == "socket.getaddrinfo":
        print((given[0], given[1]), file=asked)

sys.addaudithook(note)
from guidedcam_tf.cli import main
main()
"""
"""The command, which writes down every address that it asks for."""

ENTER, LEFT, RIGHT = "\ue007", "\ue012", "\ue014"

LABELS = "return [...document.querySelectorAll('#classes label')].map(e => e.innerText.trim())"
WORDS = "document.querySelector('#words').innerText"
SOURCE = "return document.querySelector('#{} img')?.src"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, another checkpoint of it, names, and pictures."""
    folder = tmp_path_factory.mktemp("app")
    model = build_toy("flatten")
    model.save(folder / "toy.keras")
    model.get_layer("scores").bias.assign([0.0, 0.0, 2.0])
    model.save_weights(folder / "later.weights.h5")
    (folder / "names.txt").write_text("\n".join(NAMES))
    rng = np.random.default_rng(7)
    for name in ("one", "two"):
        pixels = Image.fromarray(rng.integers(0, 256, (4, 6, 3), np.uint8))
        pixels.resize((120, 80), Image.Resampling.BICUBIC).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes((folder / "one.png").read_bytes()[:90])
    Image.new("1", (10_000, 10_000)).save(folder / "huge.png")
    (folder / "heavy.png").write_bytes(b"0" * 2_000_000)
    return folder


@pytest.fixture(scope="module")
def explainer(folder):
    return Explainer(folder / "toy.keras", preprocess="unit", class_names=NAMES)


@pytest.fixture(scope="module")
def address(folder):
    """Where the command serves the page."""
    options = "app --model toy.keras --preprocess unit --class-names names.txt --max-megabytes 1"
    options = [*options.split(), "--compare", "later.weights.h5"]
    log = (folder / "stderr.txt").open("w")
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, "asked.txt", *options],
        cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        assert line.endswith(" shows the page; Ctrl-C ends it\n"), log.name
        yield line.split()[0]
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def tab(tmp_path_factory, address):
    """Opens the page anew, as another visitor, in a tab as wide as asked."""
    with browser(tmp_path_factory.mktemp("browser")) as open_page:
        open_page = cache(open_page)

        def opened(width, **options):
            page = open_page(width, 1400, **options)
            page.requests()
            page.open(address)
            page.wait("return document.querySelector('#picture input')")
            return page

        yield opened


def upload(page, file, said):
    page.wait("return document.querySelector('#picture input[type=file]')")
    page.type("#picture input[type=file]", file)
    page.wait(f"return {WORDS}.includes({said!r})")
    page.wait("return document.querySelector('#overlay img')?.complete")


def shown(page, name):
    """An image on the page as an array."""
    with urllib.request.urlopen(page.wait(SOURCE.format(name))) as answer:
        return np.array(Image.open(io.BytesIO(answer.read())))


def best(explainer, file):
    scores = explainer.predict(np.asarray(Image.open(file))[None])[0]
    return [f"{NAMES[i]}: {scores[i]:.1%}" for i in np.argsort(-scores)], np.argsort(-scores)


def check_map(page, explainer, file, target, method):
    expected = explainer.explain(file, int(target), method).maps[0]
    assert (shown(page, "levels") == np.round(255 * expected)).all()


def choose(page, dropdown, option):
    page.click(f"#{dropdown} input")
    item = f"[role=option][aria-label^={option!r}]"
    page.wait(f'return document.querySelector("{item}")')
    page.click(item)


def test_a_person_looks_at_a_picture(tab, folder, explainer):
    page, file = tab(1440, mouse=True), folder / "one.png"
    labels, order = best(explainer, file)
    upload(page, file, f"Proposed, {NAMES[order[0]]}")
    assert page.run(LABELS) == labels
    check_map(page, explainer, file, order[0], "guided")

    page.click("#classes label:nth-of-type(2)")
    page.wait(f"return {WORDS}.includes('Proposed, {NAMES[order[1]]}')")
    check_map(page, explainer, file, order[1], "guided")

    choose(page, "method", "LayerCAM")
    page.wait(f"return {WORDS}.includes('LayerCAM')")
    choose(page, "layer", "conv1")
    page.wait(f"return {WORDS}.includes('layer conv1')")
    check_map(page, explainer.at("conv1"), file, order[1], "layercam")
    explanation = explainer.at("conv1").explain(file, int(order[1]), "layercam")

    before = page.run(SOURCE.format("overlay"))
    page.type("#opacity input[type=range]", LEFT * 6)
    page.wait(f"return (() => {{{SOURCE.format('overlay')}}})() != {before!r}")
    page.wait("return !document.querySelector('#overlay .generating')")
    saliency = explanation.maps[0]
    page.type("#threshold input[type=range]", RIGHT * 4)
    area = f"values from 0.7 takes {(saliency >= 0.7).mean():.1%}"
    page.wait(f"return {WORDS}.includes({area!r})")
    difference = shown(page, "overlay") - explanation.overlay(0, "inferno", 0.5).astype(float)
    assert np.abs(difference).mean() < 3
    alternative = page.run("return document.querySelector('#overlay img').alt")
    assert page.run(f"return {WORDS}").endswith(alternative) and area in alternative

    page.point("#overlay img", 0.3, 0.6)
    told = page.wait("return document.querySelector('#value').innerText.match(/is ([0-9.]+) at/)")
    assert float(told[1]) == pytest.approx(saliency[48, 36], abs=0.06)


def test_what_cannot_be_done_is_said_and_harms_nobody(tab, folder, explainer):
    page, other = tab(1440), tab(390)
    labels, order = best(explainer, folder / "one.png")
    upload(page, folder / "one.png", NAMES[order[0]])
    upload(other, folder / "two.png", f"Proposed, {best(explainer, folder / 'two.png')[0][0][:3]}")
    before = page.run(SOURCE.format("overlay"))
    refused = {
        "broken.png": "broken.png is damaged or cannot be read",
        "huge.png": "huge.png is 10000 x 10000 pixels, over this page's limit",
        "heavy.png": "exceed",
    }
    for name, message in refused.items():
        page.wait("return document.querySelector('#picture input[type=file]')")
        page.type("#picture input[type=file]", folder / name)
        page.wait(f"return document.body.innerText.includes({message!r})")
    page.wait("return document.querySelector('#picture input[type=file]')")
    assert page.run(SOURCE.format("overlay")) == before
    page.click("#classes label:nth-of-type(3)")
    page.wait(f"return {WORDS}.includes('Proposed, {NAMES[order[2]]}')")
    check_map(page, explainer, folder / "one.png", order[2], "guided")
    # The other visitor's picture and class stayed.
    second = best(explainer, folder / "two.png")[1][0]
    check_map(other, explainer, folder / "two.png", second, "guided")
    assert page.run(LABELS) == labels


def test_methods_networks_curves_and_files(tab, folder, explainer, monkeypatch, tmp_path):
    page, file = tab(390), folder / "one.png"
    upload(page, file, "one: Proposed")
    page.type("#compute", ENTER)
    page.wait("return document.querySelectorAll('#beside img').length == 4")
    page.run("document.querySelectorAll('#beside .thumbnail-item')[1].click()")
    page.wait(f"return {WORDS}.includes('one: Grad-CAM,')")
    target = best(explainer, file)[1][0]
    check_map(page, explainer, file, target, "gradcam")

    open_tab(page, "Insertion and deletion")
    page.type("#trace", ENTER)
    page.wait("return document.querySelector('#areas').innerText.includes('deletion 0.')")
    page.wait("return document.querySelector('#curves svg, #curves canvas')")
    open_tab(page, "Two networks")
    page.type("#compare", ENTER)
    page.wait("return document.querySelectorAll('#networks img').length == 2")
    assert "later.weights.h5" in page.run("return document.querySelector('#table').innerText")
    open_tab(page, "Files and code")
    page.type("#make", ENTER)
    page.wait("return document.querySelectorAll('#files a').length >= 3")
    links = page.run("return [...document.querySelectorAll('#files a')].map(e => e.href)")
    kept = {}
    for link in links:
        with urllib.request.urlopen(link) as answer:
            kept[link.rpartition("/")[2]] = answer.read()
    (program,) = [content for name, content in kept.items() if name.endswith(".py")]
    monkeypatch.chdir(folder)
    (folder / "explain.py").write_bytes(program)
    runpy.run_path("explain.py")
    made = {each.name: each.read_bytes() for each in (folder / "out").iterdir()}
    (overlay,) = [content for name, content in kept.items() if name.endswith(".png")]
    assert overlay in made.values()


def open_tab(page, name):
    """Open one of the tabs, which a narrow page keeps in a menu."""
    page.click("[aria-label='More tabs']")
    page.run(
        "[...document.querySelectorAll('.overflow-dropdown button')]"
        f".find(e => e.textContent.trim() == {name!r}).click()"
    )


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_overflows_and_everything_has_a_name(tab, folder, width):
    page = tab(width)
    upload(page, folder / "one.png", "one: Proposed")
    assert page.run("return document.documentElement.scrollWidth") == width
    assert page.run("return document.documentElement.lang") == "en"
    nameless = page.run(
        """
        const named = e => e.ariaLabel || e.title || e.innerText?.trim() || e.alt
            || e.labels?.[0]?.innerText.trim()
            || e.closest("label")?.innerText.trim() || e.querySelector("img[alt]")?.alt;
        return [...document.querySelectorAll("button, input, textarea, select, img, a")]
            .filter(e => e.offsetParent && !named(e)).map(e => e.outerHTML.slice(0, 300));
        """
    )
    assert nameless == []
    assert page.violations(without=".empty") == ""  # Gradio names a place without a role.


def test_nothing_but_the_own_host_is_asked(tab, address, folder):
    page = tab(1440)
    upload(page, folder / "one.png", "one: Proposed")
    asked = [each for each in page.requests() if not each.startswith(("data:", "chrome:", "blob:"))]
    assert len(asked) > 5
    assert [each for each in asked if not each.startswith(address)] == []
    of_server = (folder / "asked.txt").read_text().splitlines()
    assert [
        each for each in of_server if "127.0.0.1" not in each and "'localhost'" not in each
    ] == []
