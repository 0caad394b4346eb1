"""Figures for print: their width, their text, their fonts, and lines without colour."""

import re
import zlib

import numpy as np
import pytest
from figures.synthetic import grid
from figures.synthetic import picture_curves
from matplotlib.text import Text

from guidedcam_tf.errors import InputError
from guidedcam_tf.figures import style
from guidedcam_tf.figures.curves import draw_curves
from guidedcam_tf.figures.fitting import drawn_for
from guidedcam_tf.figures.fitting import fit
from guidedcam_tf.figures.grid import draw_grids
from guidedcam_tf.figures.saving import save_figure

DRAWN = {"grid": lambda: draw_grids([grid(3)]), "curves": lambda: draw_curves([picture_curves()])}


def fitted(name, kind, width):
    with drawn_for(kind, width) as chosen:
        figure = DRAWN[name]()
    fit(figure, chosen)
    return figure


def points(figure):
    return {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}


@pytest.mark.parametrize("name", DRAWN)
def test_a_page_s_width_and_a_slide_s(name):
    paper, talk = fitted(name, "paper", "double"), fitted(name, "talk", "double")
    assert paper.get_size_inches()[0] == pytest.approx(7.16)
    assert talk.get_size_inches()[0] == pytest.approx(13)
    assert min(points(paper)) >= 5 and min(points(talk)) >= 9
    before = DRAWN[name]().get_size_inches()
    assert paper.get_size_inches()[1] / 7.16 == pytest.approx(before[1] / before[0])


def test_one_column_has_room_for_few_columns_and_refuses_many():
    figure = fitted("grid", "paper", "single")
    assert figure.get_size_inches()[0] == pytest.approx(3.5)
    assert min(points(figure)) >= 5
    with pytest.raises(InputError, match=r"at 3.5 inches .* points; .* width: double"):
        fitted("curves", "paper", "single")


def test_a_pdf_has_its_fonts_in_it_and_its_text_as_text(tmp_path):
    save_figure(fitted("curves", "paper", "double"), tmp_path / "a.pdf")
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content and b"/Type3" not in content
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.S)
    drawn = b"".join(zlib.decompress(each) for each in streams if each[:1] == b"x")
    assert drawn.count(b" Tf") > 5


def test_lines_differ_without_colour_and_with_it():
    lines = [style.line(place) for place in range(12)]
    looks = {(each["color"], str(each["linestyle"])) for each in lines}
    assert len(looks) == 12
    assert len({str(each["linestyle"]) for each in lines[:6]}) == 6


def test_the_usual_colour_map_grows_brighter():
    from guidedcam_tf.overlay import colour

    grey = colour(np.linspace(0, 1, 256)[None]) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(grey[0]) > -1).all() and grey[0, -1] - grey[0, 0] > 200
