"""Small maps, masks and probabilities for property tests."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7)
PROBABILITIES = st.floats(0, 1)

continuous_maps = hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32))
tied_maps = hnp.arrays(np.float32, SHAPES, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
maps = st.one_of(continuous_maps, tied_maps)


def masks_for(array):
    """Masks of an array's shape."""
    return hnp.arrays(bool, array.shape)


@st.composite
def maps_with_masks(draw, count=1):
    """A map and masks of its shape."""
    saliency = draw(maps)
    return saliency, *(draw(masks_for(saliency)) for _ in range(count))


@st.composite
def increasing_pairs(draw):
    """Two maps in [0, 1] that are strictly increasing functions of each other."""
    levels = draw(hnp.arrays(np.int64, SHAPES, elements=st.integers(0, 5)))
    values = [
        np.sort(draw(hnp.arrays(np.float32, 6, elements=st.floats(0, 1, width=32), unique=True)))
        for _ in range(2)
    ]
    return values[0][levels], values[1][levels]
