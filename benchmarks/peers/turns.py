"""How contenders of `speed.py` take turns: each is a process that trains for a turn when it is asked to, and
says what it took."""

from __future__ import annotations

import json
import sys
import time


class Turns:
    """Reads a line from standard input for each turn, and writes a line of JSON after it."""

    def __init__(self) -> None:
        self._out, sys.stdout = sys.stdout, sys.stderr  # what libraries print belongs elsewhere
        self._began: tuple[float, float] | None = None
        self._taken = (0.0, 0.0)

    def begin(self) -> None:
        """Wait until it is this process's turn, then start the clocks. Ends the process where no turn will come."""
        if not sys.stdin.readline().strip():
            sys.exit()
        self._began = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """Stop the clocks: what follows is not training."""
        assert self._began is not None
        self._taken = time.perf_counter() - self._began[0], time.process_time() - self._began[1]

    def tell(self, examples: int, auc: dict[str, float]) -> None:
        """Say what the turn took, and what the network reaches on validation by now."""
        seconds, processor = self._taken
        said = {"examples": examples, "seconds": seconds, "processor": processor, "auc": auc}
        print(json.dumps(said), file=self._out, flush=True)
