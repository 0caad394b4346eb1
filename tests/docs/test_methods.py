"""The page of methods knows them all, and the page for users of other toolkits names real ones."""

import re

from common import REPOSITORY

from guidedcam_tf.methods import METHODS


def test_the_table_has_every_method():
    text = (REPOSITORY / "docs/methods.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| \d{4} \|", text, flags=re.MULTILINE)
    assert sorted(rows) == sorted(METHODS)


def test_every_method_of_the_decision_path_exists():
    text = (REPOSITORY / "docs/methods.md").read_text()
    path = text[text.index("## Which one") : text.index("## Symbols")]
    named = set(re.findall(r"`([a-z_+]+)`", path))
    assert len(named) > 10
    assert named <= set(METHODS)


def test_names_on_our_side_exist():
    text = (REPOSITORY / "docs/coming_from.md").read_text()
    ours = " ".join(line.split("|")[2] for line in text.splitlines() if line.count("|") == 3)
    named = set(re.findall(r'"([a-z_+]{3,})"', ours))
    assert len(named) > 15
    assert named - {"tabby", "logit"} <= set(METHODS)
