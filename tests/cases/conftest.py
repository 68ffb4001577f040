"""Small images and CT slices, as the tests of data sets make them."""

from tests.dataset.conftest import ct, png

__all__ = ["ct", "png"]
