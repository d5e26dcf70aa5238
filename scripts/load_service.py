"""Load on a running `addnet serve`: so many clients at once, for so long; what they were answered, and how fast.

    python scripts/load_service.py http://127.0.0.1:8000 faces/test/real --clients 16 --seconds 60

Each client sends one file after the other and waits for its answer; a 429 is tried again after what Retry-After says. A
request is lost if its connection breaks, or if it is answered with anything else. Exits with 1 if one was.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from itertools import cycle
from pathlib import Path

import httpx
import numpy as np

_MOST = 64  # files that are sent, in turns


class Load:
    """Clients, and what they saw.

    Args:
        address: Of the service.
        files: Name and bytes of what is sent.
        until: When they stop, by the clock of `time.monotonic`.
    """

    def __init__(self, address: str, files: list[tuple[str, bytes]], until: float) -> None:
        self.address, self.files, self.until = address, files, until
        self.outcomes: Counter[str] = Counter()
        self.seconds: list[float] = []
        self._lock = threading.Lock()

    def client(self, number: int) -> None:
        """Sends files until the time is over."""
        own = cycle(self.files[number % len(self.files) :] + self.files[: number % len(self.files)])
        with httpx.Client(base_url=self.address, timeout=120) as client:
            while time.monotonic() < self.until:
                self._ask(client, next(own))

    def _ask(self, client: httpx.Client, file: tuple[str, bytes]) -> None:
        begun = time.monotonic()
        try:
            answer = client.post("/v1/answers", files={"file": file})
        except httpx.HTTPError as error:
            self._count(f"lost: {type(error).__name__}")
            return
        if answer.status_code == 429:
            self._count("429, asked to come again")
            time.sleep(min(float(answer.headers["retry-after"]), max(0.0, self.until - time.monotonic())))
        elif answer.status_code == 200:
            self._count(answer.json()["answers"][0]["verdict"], time.monotonic() - begun)
        else:
            self._count(f"lost: {answer.status_code}")

    def _count(self, outcome: str, seconds: float | None = None) -> None:
        with self._lock:
            self.outcomes[outcome] += 1
            if seconds is not None:
                self.seconds.append(seconds)


def main() -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.rglob("*") if path.is_file())[:_MOST]
    if not paths:
        sys.stderr.write(f"{options.folder} holds no files\n")
        return 2
    begun = time.monotonic()
    load = Load(options.address, [(path.name, path.read_bytes()) for path in paths], begun + options.seconds)
    threads = [threading.Thread(target=load.client, args=(number,)) for number in range(options.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lasted = time.monotonic() - begun
    for outcome, number in load.outcomes.most_common():
        sys.stdout.write(f"{outcome}: {number:,}\n")
    if load.seconds:
        middle, late, last = np.quantile(load.seconds, [0.5, 0.95, 1.0])
        sys.stdout.write(f"answers: {len(load.seconds) / lasted:.1f} a second over {lasted:.0f} s; ")
        sys.stdout.write(f"median {middle:.2f} s, 95 % {late:.2f} s, longest {last:.2f} s\n")
    return int(any(outcome.startswith("lost") for outcome in load.outcomes))


if __name__ == "__main__":
    sys.exit(main())
