"""Fixtures of several test files."""

import os
from collections.abc import Iterator

import pytest

from triad.cli import ENVIRONMENT

for name, value in ENVIRONMENT.items():  # as stages run: without oneDNN's own order of sums, without telemetry
    os.environ.setdefault(name, value)


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Networks of a few steps each, which tracing would take longer than running."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
