"""A Spark session for one stage, and clear errors where the machine lacks what it needs."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from triad.config.runtime import SparkParams
from triad.errors import TriadError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_WHERE = "runtime.engine: spark"

_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}

_LOCAL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "8",
}
"""Of a master on this machine: nothing listens on other addresses, and few rows need few tasks."""


@contextmanager
def started(params: SparkParams) -> Iterator[SparkSession]:
    """A session on `params.master`, stopped at the end.

    Raises:
        TriadError: PySpark or Java is missing, or the master does not answer.
    """
    _need()
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    local = _LOCAL if params.master.startswith("local") else {}
    builder = SparkSession.builder.appName("triad").master(params.master)
    for name, value in {**_SETTINGS, **local, **params.settings}.items():
        builder = builder.config(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of pandas, which nothing here hands to Spark
            spark = builder.getOrCreate()
    except (Py4JError, PySparkException) as error:
        raise TriadError(
            f"no session: {error}", where=f"runtime.spark.master: {params.master}", mend="start it, or correct the key"
        ) from error
    # else workers start the first `python3` of PATH
    spark.sparkContext.pythonExec = params.settings.get("spark.pyspark.python", sys.executable)
    try:
        yield spark
    finally:
        spark.stop()


def _need() -> None:
    home = os.environ.get("JAVA_HOME")
    if not (shutil.which("java") or (home and shutil.which("java", path=os.path.join(home, "bin")))):  # noqa: PTH118
        raise TriadError("there is no `java`", where=_WHERE, mend="install Java 17 or later, or set JAVA_HOME")
    try:
        import pyspark  # noqa: F401
    except ImportError as error:
        raise TriadError("PySpark is not installed", where=_WHERE, mend="run `pip install 'triad[spark]'`") from error
