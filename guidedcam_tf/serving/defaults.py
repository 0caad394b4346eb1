"""What an export is made with unless something else is asked for."""

MAX_PIXELS = 50_000_000
"""Pixels of a picture in a request; decoding takes up to 20 bytes for each."""

MERGE = 16
"""Encoded pictures of concurrent requests that go through the network together."""

WARM_UP_SIZES = (1, 16)
"""Pictures in the warm-up requests."""
