"""Setting a Flex project up: resources are made, or found and corrected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.platforms.provision import Run
from app.platforms.twilio.account import Account


class Project:
    """A project's resources in one run of provisioning."""

    def __init__(self, account: Account, run: Run) -> None:
        self._account = account
        self._run = run

    def resource(
        self, url: str, found: Mapping[str, Any] | None, wanted: Mapping[str, Any], *, single: bool = False
    ) -> str:
        """Make the resource, correct what differs, or leave it as it is; its sid ('' while nothing is made).

        Args:
            wanted: Twilio's fields; a list repeats its field.
            single: there is always one, at `url` itself.

        Raises:
            Failure: the call did not succeed.
        """
        differs = {name: value for name, value in wanted.items() if found is None or not is_same(found, name, value)}
        sid = str((found or {}).get("sid", ""))
        if not differs:
            return sid
        target = f"{url}/{sid}" if found is not None and not single else url
        form = _form(differs if found is not None else wanted)
        described = "\n    ".join([f"POST {target}", *(f"{name}={value}" for name, value in form)])
        made = self._run.change(described, lambda: self._account.call("POST", target, self._run.http, form))
        return sid if made is None else str(made.get("sid", ""))


def _form(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Fields in Twilio's way: a list repeats its name, truth is a word."""
    pairs = []
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            pairs.append((name, str(one).lower() if isinstance(one, bool) else str(one)))
    return pairs


def is_same(found: Mapping[str, Any], name: str, value: Any) -> bool:
    """Whether a resource has this value: `Integration.FlowSid` stands there as integration.flow_sid."""
    there: Any = found
    for part in name.split("."):
        there = there.get(re.sub(r"(?<!^)(?=[A-Z])", "_", part).lower()) if isinstance(there, Mapping) else None
    if isinstance(value, list):
        return isinstance(there, list) and sorted(map(str, there)) == sorted(value)
    if isinstance(value, bool) or name.endswith("Method"):
        return str(there).lower() == str(value).lower()
    return there is not None and str(there) == str(value)
