"""Property tests without a time limit an example, which a busy machine would break."""

from hypothesis import settings

settings.register_profile("metrics", deadline=None)
settings.load_profile("metrics")
