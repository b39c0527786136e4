"""Do parallel stages of one run get in one another's way? A wide pipeline, 1 → N → 1, run N at a time, again and again.

    python benchmarks/wide_graph.py --width 12 --rounds 20

Each round is a run of its own: opened, all stages of the middle started at the same moment by `triad retraining stage`,
as a scheduler does, then the last. Prints every stage that did not end well, and how long the rounds took.
The time of a stage with nothing beside it stands there too, to tell waiting from work.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEAD = """
stages:
  first:
    cmd: mkdir -p out/first && grep as_of params.yaml > out/first/data
    params: [ingest.as_of]
    outs: [{out/first: {persist: true}}]
"""
MIDDLE = """
  middle-NUMBER:
    cmd: mkdir -p out/NUMBER && sed s/^/NUMBER/ out/first/data > out/NUMBER/data
    deps: [out/first]
    outs: [{out/NUMBER: {persist: true}}]
"""
LAST = """
  last:
    cmd: mkdir -p out/last && cat out/*/data > out/last/data
    deps: [DEPS]
    outs: [{out/last: {persist: true}}]
"""


def make(folder: Path, width: int) -> Path:
    """A git and DVC repository with the wide pipeline."""
    folder.mkdir(parents=True)
    middle = "".join(MIDDLE.replace("NUMBER", str(number)) for number in range(width))
    last = LAST.replace("DEPS", ", ".join(f"out/{number}" for number in range(width)))
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=folder, check=True)
    (folder / "dvc.yaml").write_text(HEAD + middle + last)
    (folder / "params.yaml").write_text('ingest: {as_of: "2026-01-01"}\n')
    (folder / ".gitignore").write_text("/out\n/.triad\n/runs\n")
    subprocess.run(["git", "add", "."], cwd=folder, check=True)
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "first"], cwd=folder, check=True
    )
    return folder


def begin(shop: Path, *words: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRIAD_", "MLFLOW_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "triad", "retraining", *words],
        cwd=shop,
        env={**kept, "TRIAD_CHECKOUT": str(shop)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(shop: Path, number: int, width: int) -> tuple[list[str], float, float]:
    """One round: what went wrong, seconds of the first stage alone, seconds of the middle's stages together."""
    said = begin(shop, "open", f"round-{number}", "--as-of", f"2026-01-{number + 1:02d}").communicate()[0]
    folder = json.loads(said.splitlines()[-1])["workspace"]
    took = []
    errors = []
    for names in (["first"], [f"middle-{n}" for n in range(width)], ["last"]):
        start = time.monotonic()
        started = {name: begin(shop, "stage", name, "--workspace", folder) for name in names}
        for name, process in started.items():
            log = process.communicate()[0]
            if process.returncode:
                errors.append(f"round {number}, {name}, exit {process.returncode}:\n{log}")
        took.append(time.monotonic() - start)
    lines = len((Path(folder) / "out" / "last" / "data").read_text().splitlines())
    if lines != width + 1 and not errors:
        errors.append(f"round {number}: the last stage saw {lines} of {width + 1} inputs")
    return errors, took[0], took[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        shop = make(Path(scratch) / "shop", asked.width)
        rounds = [run(shop, number, asked.width) for number in range(asked.rounds)]
    errors = [error for found, _, _ in rounds for error in found]
    print("\n".join(errors))
    alone, together = ([values[at] for values in rounds] for at in (1, 2))
    for name, took in (("one stage alone", alone), (f"{asked.width} stages at once", together)):
        print(f"{name:<20} median {statistics.median(took):.1f} s, longest {max(took):.1f} s")
    print(f"{len(errors)} errors in {asked.rounds} rounds of {asked.width + 2} stages, on {os.cpu_count()} processors")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
