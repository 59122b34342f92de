"""What interceptors cost: `make bench`, or `python -m benchmarks [chain] [http] [remoting] [connectors] [resources] [events] [startup] [memory] [--quick]`.

Benchmarks are hard, so first what this one does not say.

* The layers, the handlers and the methods do nothing. In an application that asks a database all of this disappears.
* Only the ratios mean something, and only on one machine, Python and FastAPI at a time. The figures beside them are
  there to judge a difference by: ten percent of a microsecond is nothing.
* The baselines are the hardest there are. Hand-nested coroutines have no `next`, so no layer can decide anything: a limit, not
  a rival. A plain FastAPI route has nobody around it at all. The rivals are the nested lambdas, the koa-style closures,
  `Depends` and the middlewares.
* A call of the chain is driven to its end by one `send`, which is part of every figure (about 200 ns).
  What is compared per hop is free of it: the difference between N layers and none, by N.
* The budgets of a route against the plain route are stated in instructions. In time it comes out one to three points
  lower: the code of one more layer is cold when a request has just been through all of FastAPI.
* HTTP is measured in process: the application is called as a server calls it. Behind a socket, where the server costs
  as much as FastAPI does, every ratio is nearer to 1.
  The application has this one route: those of its documentation would be tried first, and make the plain one slower.
* Other frameworks are not installed for this, so they are not measured here.

How to read it: `median` is one call, request, start or waiting invocation, `spread` half the distance between the
quartiles. All subjects of a benchmark take turns in every round, and `ratio` is the median of the ratios to the baseline
*within the rounds*. Ratios to "plain FastAPI" are of requests per second: 0.95 is five percent fewer. `ok` and `over` say
whether the budget is kept, `~` that it lies within the quartiles: another run may say otherwise.

`--instructions` counts instructions under valgrind (a few minutes). They hardly differ from run to run, so they are what
to decide by; a mispredicted branch or a cache miss is not in them. `--quick` is for looking whether anything broke.

`events` takes six minutes, and a minute with `--quick`; it compares with what is there of PostgreSQL, RabbitMQ and the
packages of the extra `bench`.
"""

import argparse
import platform
from importlib import import_module
from importlib.metadata import version

from benchmarks.instructions import BENCHES, instruction_rows
from benchmarks.table import Row, heading, render, verdict

_ALL = ("chain", "http", "remoting", "connectors", "resources", "events", "startup", "memory")


def main() -> None:
    """Measure what was chosen and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What interceptors cost.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(_ALL)}; all if none is given")
    parser.add_argument("--quick", action="store_true", help="two minutes, for looking whether anything broke")
    parser.add_argument("--instructions", action="store_true", help="count instructions under valgrind")
    options = parser.parse_args()
    names = options.names or (list(BENCHES) if options.instructions else list(_ALL))
    if unknown := set(names) - set(BENCHES if options.instructions else _ALL):
        parser.error(f"there is no {', '.join(sorted(unknown))} here")

    versions = ", ".join(f"{name} {version(name)}" for name in ("fastapi", "starlette", "dependency-injector"))
    print(f"{platform.python_implementation()} {platform.python_version()}, {versions}", flush=True)
    counted = instruction_rows(names) if options.instructions else {}
    table: list[Row] = []
    for name in names:
        bench = import_module(f"benchmarks.bench_{name}")
        rows = counted.get(name) or bench.rows(bench.QUICK if options.quick else bench.FULL)
        print(heading(bench.TITLE), render(rows), sep="\n", flush=True)
        table += rows
    judged = [verdict(row) for row in table if row.budget]
    print(f"\n{sum(word.startswith('ok') for word in judged)} of {len(judged)} budgets are kept.")


if __name__ == "__main__":
    main()
