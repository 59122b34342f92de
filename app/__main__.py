"""`python -m app`: serve the bookshop on this machine."""

import argparse
import os
import socket
import sys
from contextlib import suppress

import uvicorn

from app.logs import configure_logging
from app.main import app
from app.tour import tour

HOST = "127.0.0.1"


def port_number(text: str) -> int:
    """Read a port."""
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError(text)
    return port


def welcome(base: str) -> str:
    """Say where the shop is and what to try."""
    lines = [
        f"The bookshop is at {base}",
        f"  docs     {base}/docs",
        f"  OpenAPI  {base}/openapi.json",
        "  events   python -m interceptors outbox status app.main:events",
        "",
        "To try in another terminal, in this order in a new shop:",
    ]
    for step in tour(base):
        lines += ["", f"# {step.says}: {step.status}", step.command]
    return "\n".join([*lines, "", "Ctrl-C stops it.", ""])


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Serve the bookshop on this machine.")
    parser.add_argument(
        "--port", type=port_number, default=os.environ.get("PORT") or "8000", help="default: $PORT, or 8000"
    )
    port = parser.parse_args().port
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        sys.exit(f"Cannot listen on {HOST}:{port}: {error.strerror}. Another port: python -m app --port 8001")
    sys.stdout.write(welcome(f"http://{HOST}:{listening.getsockname()[1]}") + "\n")
    sys.stdout.flush()
    configure_logging()
    config = uvicorn.Config(app, log_config=None, access_log=False)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
