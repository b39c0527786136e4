"""The service `serve`, asked over HTTP."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Service:
    address: str
    key: str  # its own

    def ask(self, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """Status and answer; with `key`, or with none."""
        headers = {"Content-Type": "application/json"} | ({"X-API-Key": key} if key else {})
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"http://{self.address}:8400/{path}", data, headers)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def serves(self, version: str, as_of: str, seconds: float = 180) -> None:
        """Wait for `version`. The service looks at the alias every five seconds, each of its two workers by itself.

        Raises:
            AssertionError: it does not come.
        """
        end, agreed = time.monotonic() + seconds, 0
        while agreed < 10:
            _, told = self.ask("health")
            agreed = agreed + 1 if (told["version"], told["as_of"][:10]) == (version, as_of) else 0
            assert time.monotonic() < end, told
            time.sleep(0.2)

    def lists_for(self, user: str, version: str, *, known: bool) -> None:
        """Ask for a list: without the key, with another one, and with the key.

        Raises:
            AssertionError: it is not as it should be.
        """
        for wrong in (None, "wrong", self.key[:-1]):
            status, told = self.ask("recommend", {"user_id": user}, wrong)
            assert status == 401 and "items" not in told and user not in json.dumps(told)
        end = time.monotonic() + 60
        while True:  # ten looks may all have met the worker that was first
            status, told = self.ask("recommend", {"user_id": user, "k": 5}, self.key)
            if told.get("version") == version or time.monotonic() > end:
                break
            time.sleep(0.2)
        assert (status, told["version"], told["is_known"], len(told["items"])) == (200, version, known, 5)
