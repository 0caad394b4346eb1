"""The drawing: images against small baselines, and texts that nothing cuts off.

`GUIDEDCAM_NEW_BASELINES=1 pytest tests/figures/test_drawing.py` draws the baselines anew; look at
them before they are kept. They are shrunk and compared with a tolerance, since fonts are rendered
a little differently from one version of FreeType to the next.
"""

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from common import build_toy
from figures.synthetic import area_curves
from figures.synthetic import explanation
from figures.synthetic import grid
from figures.synthetic import picture
from figures.synthetic import picture_curves
from figures.synthetic import row
from figures.synthetic import spot
from figures.synthetic import value_curves
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from guidedcam_tf.explainer import Explainer
from guidedcam_tf.figures import guidance
from guidedcam_tf.figures import style
from guidedcam_tf.figures.curves import draw_area_curves
from guidedcam_tf.figures.curves import draw_curves
from guidedcam_tf.figures.grid import Grid
from guidedcam_tf.figures.grid import GridRow
from guidedcam_tf.figures.grid import Panel
from guidedcam_tf.figures.grid import draw_grids
from guidedcam_tf.figures.guidance import draw_guidances
from guidedcam_tf.figures.saving import save_figure

BASELINES = Path(__file__).parent / "baselines"
LONGEST = 240
TOLERANCE = 2.0
"""The root mean square difference, of 255, that rendering may make; a moved spot makes more."""

LONG = "Staffordshire bullterrier of Wheaten, dog"[:40]
UNBROKEN = "Donaudampfschifffahrtskapitaensmuetzendo"

FIGURES = {
    "grid": lambda: draw_grids([grid()], title="title"),
    "grid_jet": lambda: draw_grids([grid()], title="title", colour_map="jet"),
    "two_grids": lambda: draw_grids([grid(3), grid(6)], title="two parts"),
    "guidance": lambda: draw_guidances([explanation()]),
    "curves": lambda: draw_curves([picture_curves(), picture_curves()], title="curves"),
    "areas": lambda: draw_area_curves(area_curves(), title="areas"),
}


def pixels(figure, dots_per_inch=100):
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dots_per_inch, format="png")
    return Image.open(buffer).convert("RGB")


def small(figure):
    image = pixels(figure)
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
    return image


def difference(one, other):
    return np.sqrt(np.mean((np.asarray(one, float) - np.asarray(other, float)) ** 2))


@pytest.mark.parametrize("name", FIGURES)
def test_figure_looks_as_it_did(name):
    drawn = small(FIGURES[name]())
    file = BASELINES / f"{name}.webp"
    if os.environ.get("GUIDEDCAM_NEW_BASELINES"):
        drawn.save(file, lossless=True, method=6)
    expected = Image.open(file).convert("RGB")
    assert drawn.size == expected.size
    assert difference(drawn, expected) < TOLERANCE


def test_a_changed_panel_is_noticed():
    moved = grid()
    panels = (*moved.rows[0].panels[:-1], Panel(picture(), spot(across=0.05)))
    moved = Grid(moved.columns, (GridRow(moved.rows[0].label, panels), moved.rows[1]), moved.title)
    expected = Image.open(BASELINES / "grid.webp").convert("RGB")
    assert difference(small(draw_grids([moved], title="title")), expected) > TOLERANCE


STRESS = {
    "one row": lambda: draw_grids([Grid(("picture", "map"), (row("tabby", 2),))], title="t"),
    "twelve columns": lambda: draw_grids(
        [Grid(("picture", *list(style.METHOD_TITLES.values())[:11]), (row(LONG, 12),))], title="t"
    ),
    "a word of 40 letters": lambda: draw_grids(
        [Grid(("picture", "map"), (row(f"{UNBROKEN}\np = 0.5", 2, 20, 90),))], title=LONG * 4
    ),
    "wide": lambda: draw_grids(
        [Grid(("picture", "a", "b"), (row("wide\np = 1", 3, 30, 400), row("other", 3)))]
    ),
    "tall": lambda: draw_grids([Grid(("picture", "a"), (row("tall", 2, 400, 30),))]),
    "curves": FIGURES["curves"],
    "values": lambda: draw_curves([value_curves()], title="values"),
    "areas": FIGURES["areas"],
    "guidance": FIGURES["guidance"],
}


def test_the_numbers_of_values_lie_beside_the_picture():
    figure = STRESS["values"]()
    figure.set_dpi(100)
    figure.draw_without_rendering()
    shown = figure.axes[0].get_window_extent()
    assert figure.axes[1].yaxis.label.get_window_extent().x0 > shown.x1


def texts(figure):
    """Every text with its box in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    found = [item for item in figure.findobj(Text) if item.get_text().strip()]
    return [(item, item.get_window_extent(renderer)) for item in found if item.get_visible()]


@pytest.mark.parametrize("name", STRESS)
def test_no_text_is_cut_off(name):
    figure = STRESS[name]()
    figure.set_dpi(100)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * 100
    for item, box in texts(figure):
        assert box.x0 >= -1 and box.y0 >= -1, item.get_text()
        assert box.x1 <= width + 1 and box.y1 <= height + 1, item.get_text()


@pytest.mark.parametrize("name", ["one row", "twelve columns", "a word of 40 letters", "wide"])
def test_no_text_lies_on_a_panel_or_another_text(name):
    figure = STRESS[name]()
    figure.set_dpi(100)
    figure.draw_without_rendering()
    boxes = [box for _, box in texts(figure)]
    panels = [axes.get_window_extent() for axes in figure.axes]
    for at, box in enumerate(boxes):
        for other in boxes[at + 1 :] + panels:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            down = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across < 1 or down < 1


def test_a_wide_picture_is_drawn_from_top_to_bottom():
    figure = STRESS["wide"]()
    widths = [axes.get_position().width * figure.get_size_inches()[0] for axes in figure.axes[1:4]]
    assert min(widths) > 6


def test_panels_keep_the_shape_of_their_picture():
    figure = STRESS["tall"]()
    place = figure.axes[1].get_position()
    size = figure.get_size_inches()
    shape = (place.height * size[1]) / (place.width * size[0])
    np.testing.assert_allclose(shape, 400 / 30, rtol=1e-6)


def test_the_legends_areas_are_the_metrics():
    result = picture_curves()
    figure = draw_curves([result])
    for axes, curves in ((figure.axes[1], result.deletion), (figure.axes[2], result.insertion)):
        shown = [text.get_text() for text in axes.get_legend().get_texts()]
        expected = [
            f"{style.method_title(method)}\nAUC {curve.auc:.3f}" for method, curve in curves.items()
        ]
        assert shown == [*expected, "clean picture"]


def test_rows_must_fill_the_columns():
    with pytest.raises(ValueError, match="panel for each of 3 columns; received 2"):
        Grid(("a", "b", "c"), (row("tabby", 2),))


@pytest.mark.parametrize("ending", [".png", ".pdf"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, ending, monkeypatch):
    files = [tmp_path / f"{at}{ending}" for at in range(2)]
    save_figure(FIGURES["curves"](), files[0], dots_per_inch=80)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    save_figure(FIGURES["curves"](), files[1], dots_per_inch=80)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_users_own_settings_change_nothing():
    import matplotlib

    plain = np.asarray(small(FIGURES["grid"]()))
    with matplotlib.rc_context({"font.size": 30, "text.color": "red", "figure.facecolor": "blue"}):
        np.testing.assert_array_equal(np.asarray(small(FIGURES["grid"]())), plain)


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(0.953, "p = 0.95"), (0.0042, "p = 0.004"), (3e-6, "p = 3e-06"), (0.0, "p = 0e+00")],
)
def test_probabilities_are_short(probability, shown):
    assert style.shown_probability(probability) == shown


def test_guidance_lies_where_the_network_looked():
    """The intermediates are finished as the map is: a crop's sides are empty, smoothing counts."""
    explainer = Explainer(build_toy(), layer="conv2", fit="crop", postprocessing="paper")
    found = explainer.explain(picture(), [0, 1], "guided")
    intermediates = dict.fromkeys(found.intermediates, found.raw)
    rows = guidance._rows(replace(found, intermediates=intermediates))
    assert found.maps.any() and not found.maps[:, :, :15].any()
    for saliency, drawn_row in zip(found.maps, rows, strict=True):
        for panel in drawn_row.panels[1:]:
            assert np.allclose(panel.saliency, saliency, atol=1e-6)
