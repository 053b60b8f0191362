"""Flower, which watches the fleet: started with the broker's address and a login, neither on the command line."""

from __future__ import annotations

import os
import sys

import click

from app.configfile import ConfigError
from app.gateway import settings_from_environment

PASSWORD_VARIABLE = "PATCHBAY_FLOWER_PASSWORD"  # noqa: S105 - the name of a variable


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5555, show_default=True)
def main(host: str, port: int) -> None:
    """Serve Flower. The login is `patchbay` with the password in PATCHBAY_FLOWER_PASSWORD."""
    try:
        settings_from_environment()
    except ConfigError as error:
        sys.exit(str(error))
    password = os.environ.get(PASSWORD_VARIABLE)
    if not password:
        sys.exit(f"Set {PASSWORD_VARIABLE}: Flower shows the fleet to whoever may log in.")
    os.environ["FLOWER_BASIC_AUTH"] = f"patchbay:{password}"
    os.environ["PYTHONSAFEPATH"] = "1"  # see `python -m workers`
    command = [sys.executable, "-m", "workers", "-A", "workers.fleet", "--quiet", "flower"]
    os.execv(sys.executable, [*command, f"--address={host}", f"--port={port}", "--read_only"])


if __name__ == "__main__":
    main()
