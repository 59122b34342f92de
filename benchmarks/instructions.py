"""Instructions instead of time, under callgrind: the same to a fraction of a percent whatever else the machine does.

The parent runs this module under valgrind. There every subject runs N and then 2N times between marks, at each of which
callgrind writes down what it has counted; the difference is N times the subject, without what is around it.
"""

import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measure import Series
from benchmarks.table import Row

__all__ = ["BENCHES", "instruction_rows"]

BENCHES = {"chain": 500, "http": 150}
"""What can be counted, and how often each subject runs."""

_WARM_UP = 60  # the interpreter specialises a function after a few calls
_MARK = "getpgrp"  # a function of the C library that nothing else calls


def instruction_rows(names: Sequence[str]) -> dict[str, list[Row]]:
    """The rows of the chosen benchmarks. Raises SystemExit where there is no valgrind."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SystemExit("--instructions needs valgrind: https://valgrind.org")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        command = [valgrind, "--tool=callgrind", f"--dump-before={_MARK}", f"--callgrind-out-file={out}"]
        done = subprocess.run(
            [*command, sys.executable, "-m", __name__, *names],
            check=False,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        counts = iter(_totals(out))
    rows: dict[str, list[Row]] = {}
    for name in names:
        bench = _bench(name)
        figures = {}
        for key in bench.subjects():
            _, once, twice = (next(counts) for _ in range(3))  # the first is what led here
            figures[key] = Series(((twice - once) / BENCHES[name],))
        rows[name] = bench.rows_of(figures, "I")
    return rows


def _totals(out: Path) -> list[int]:
    """What was counted from mark to mark: callgrind's numbered files, in their order."""
    files = sorted(out.parent.glob(f"{out.name}.*"), key=lambda file: int(file.suffix[1:]))
    found = [re.search(r"^totals: (\d+)", file.read_text(), re.MULTILINE) for file in files]
    return [int(total[1]) if total else 0 for total in found]


def _run(names: Sequence[str]) -> None:
    """The part under valgrind."""
    for name in names:
        count = BENCHES[name]
        for work in _bench(name).subjects().values():
            work(_WARM_UP)
            gc.collect()
            gc.freeze()
            os.getpgrp()
            work(count)
            os.getpgrp()
            work(2 * count)
            os.getpgrp()


def _bench(name: str) -> Any:
    return import_module(f"benchmarks.bench_{name}")


if __name__ == "__main__":
    _run(sys.argv[1:])
