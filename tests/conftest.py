"""Fixtures of several test files."""

import os
from collections.abc import Iterator

import pytest

# as stages run (`triad.environment`): oneDNN adds in an order of its own. Nothing of triad is imported here, or
# what it runs at import would escape the measurement of coverage.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# the workers fill the cores: threads of libraries would only wait for one another (a sixth of the processor time)
for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Networks of a few steps each, which tracing would take longer than running."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
