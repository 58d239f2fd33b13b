from functools import cache

import pytest

from datasets.synthesis import blender


def pytest_runtest_setup(item):
    if item.get_closest_marker("blender") and (reason := no_blender()):
        pytest.skip(reason)


@cache
def no_blender():
    return blender.why_unavailable()
