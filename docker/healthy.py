"""Exits 0 if URL answers and, where a PART of Airflow is named, if Airflow says that it is healthy.

    python healthy.py URL [PART]

A health check starts every half minute in every container, so this imports nothing heavy.
"""

import json
import sys
from urllib.request import urlopen

url, *part = sys.argv[1:]
with urlopen(url, timeout=10) as answer:
    if part and json.load(answer)[part[0]]["status"] != "healthy":
        sys.exit(f"{part[0]} is not healthy")
