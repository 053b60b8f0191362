"""`patchbay doctor`: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from app.cli.common import complains, config_option, gateway_of
from app.cli.printable import printable
from app.operate.findings import Finding

SIGNS = {"ok": "ok  ", "note": "note", "wrong": "BAD "}


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding: level, about, says, mend.")
@complains
def doctor(config: Path | None, as_json: bool) -> None:
    """Examine this installation from all sides.

    Redis, broker, workers and lanes; whether public_url leads to a receiver; for each channel and destination whether
    its platform takes our credentials, is set up as `patchbay provision` would, and whether a webhook signed as it
    signs is taken. Nothing is changed. Exit code 1: something must be mended.
    """
    from app.operate.doctor import examine

    bad = False
    for finding in examine(gateway_of(config)):
        bad = bad or finding.level == "wrong"
        click.echo(msgspec.json.encode(finding).decode() if as_json else _line(finding))
    sys.exit(int(bad))


def _line(finding: Finding) -> str:
    line = f"{SIGNS[finding.level]}  {printable(finding.about)}: {printable(finding.says)}"
    return f"{line}\n      {printable(finding.mend)}" if finding.mend else line
