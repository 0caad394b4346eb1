"""What the tests of docs share."""

import pytest


@pytest.fixture(autouse=True)
def compiled():
    """Functions run as users run them, compiled."""
