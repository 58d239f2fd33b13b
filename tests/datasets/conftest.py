"""The tiny capture, whole and to be broken, and what an error that a user caused looks like."""

import re
import shutil
from contextlib import contextmanager

import pytest
from captures import write_tiny_capture

from datasets.errors import InputError


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Folder of the tiny capture; nobody writes there."""
    return write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny")


@pytest.fixture
def capture_folder(tiny, tmp_path):
    """A copy of the tiny capture that a test may break."""
    return shutil.copytree(tiny, tmp_path / "ball")


@pytest.fixture(scope="session")
def refused():
    """`with refused(*words):` expects an InputError of one sentence that holds each of the words."""

    @contextmanager
    def expect(*words):
        with pytest.raises(InputError) as caught:
            yield
        message = str(caught.value)
        assert re.fullmatch(r"(?:[^.!?\n]|[.!?](?=\S))+[.!?]", message), f"not one sentence: {message}"
        for word in words:
            assert str(word) in message

    return expect
