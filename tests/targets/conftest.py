"""Explainers that the tests of targets share."""

import pytest
from targets.by_hand import NAMES
from targets.by_hand import build_detector
from targets.by_hand import build_segmenter
from targets.by_hand import build_two_inputs

import guidedcam_tf as gcam


@pytest.fixture(scope="session")
def segmenter():
    return gcam.Explainer(build_segmenter(), layer="conv", class_names=NAMES)


@pytest.fixture(scope="session")
def detector():
    return gcam.Explainer(build_detector(), layer="conv")


@pytest.fixture(scope="session")
def two_inputs():
    return gcam.Explainer(build_two_inputs(), layer="conv")
