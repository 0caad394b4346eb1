"""What the tests of runtimes share."""

import pytest


@pytest.fixture(autouse=True)
def compiled():
    """Functions run as users run them, compiled."""
