"""The table of odd scans asserts in a module of its own; pytest shall explain its failures all the same."""

import pytest

pytest.register_assert_rewrite("tests.scans.odd")
