"""Flower, which watches the fleet: started with the broker's address and a login, neither on the command line.

Of itself Flower shows its figures, which name workers and what they do, to anybody. Here they need the login as all
else does; only `/healthcheck` answers without it, and says no more than OK.
"""

from __future__ import annotations

import os
import runpy
import sys

import click

from app.config.file import ConfigError
from app.gateway import settings_from_environment
from app.local.ports import PortRefused, claim

PASSWORD_VARIABLE = "PATCHBAY_FLOWER_PASSWORD"  # noqa: S105 - the name of a variable


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5555, show_default=True)
def main(host: str, port: int) -> None:
    """Serve Flower. The login is `patchbay` with the password in PATCHBAY_FLOWER_PASSWORD."""
    try:
        settings_from_environment()
        address = claim(host, port, "Flower")
    except (ConfigError, PortRefused) as error:
        sys.exit(str(error))
    password = os.environ.get(PASSWORD_VARIABLE)
    if not password:
        sys.exit(f"Set {PASSWORD_VARIABLE}: Flower shows the fleet to whoever may log in.")
    os.environ["FLOWER_BASIC_AUTH"] = f"patchbay:{password}"
    _serve(address, port)


def _serve(address: str, port: int) -> None:
    try:
        _guard_figures()
    except ImportError:
        sys.exit("Flower is missing: install Patchbay with its extra `up`.")
    flower = ["-A", "workers.fleet", "--quiet", "flower", f"--address={address}", f"--port={port}", "--read_only"]
    sys.argv = ["celery", *flower]  # Flower reads its options from there
    runpy.run_module("workers", run_name="__main__")


def _guard_figures() -> None:
    from flower.views.monitor import Metrics
    from tornado.web import authenticated

    Metrics.get = authenticated(Metrics.get)


if __name__ == "__main__":
    main()
