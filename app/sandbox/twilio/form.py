"""Reads the parameters of REST calls, which are text: tables of readers, one for each parameter of a call.

A parameter that Twilio does not name is refused here, although Twilio would pass over it: it is a misspelling.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from werkzeug.datastructures import MultiDict

from app.sandbox.checks import Json, Refused, as_object, is_web_url, read_json
from app.sandbox.twilio.records import Form

# Of six digits each: what is longer would be beyond every calendar.
DURATION = re.compile(r"P(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?", re.ASCII)


class Reader(Protocol):
    def __call__(self, value: str, name: str) -> Any: ...


@dataclass(frozen=True)
class Param:
    """`many` parameters may be repeated and give a tuple."""

    read: Reader
    required: bool = False
    many: bool = False


def params(read: Reader, names: str, required: bool = False, many: bool = False) -> dict[str, Param]:
    """Parameters that are read alike."""
    return dict.fromkeys(names.split(), Param(read, required, many))


def read_params(params: Mapping[str, Param], given: MultiDict[str, str]) -> Form:
    """What was given, read; raises `Refused` with the parameter that does not fit."""
    for name in given:
        if name not in params:
            raise Refused(name, "is not a known parameter")
    for name, param in params.items():
        if param.required and not given.get(name):
            raise Refused(name, "is missing")
        if not param.many and len(given.getlist(name)) > 1:
            raise Refused(name, "is given twice")
    return {name: _read(params[name], name, given) for name in given}


def _read(param: Param, name: str, given: MultiDict[str, str]) -> Any:
    if param.many:
        return tuple(param.read(value, name) for value in given.getlist(name))
    return param.read(given[name], name)


def renamed(form: Form, names: str) -> Form:
    """What was given of these parameters, by the names that fields have."""
    return {snake(name): form[name] for name in names.split() if name in form}


def below(form: Form, prefix: str) -> Form:
    """What was given of the parameters whose names begin with `prefix` and a dot."""
    parts = ((*name.partition("."), value) for name, value in form.items())
    return {snake(rest): value for first, _, rest, value in parts if first == prefix and rest}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def words(maximum: int | None = None) -> Reader:
    def read(value: str, name: str) -> str:
        if maximum is not None and len(value) > maximum:
            raise Refused(name, f"must have at most {maximum} characters, has {len(value)}")
        return value

    return read


def sid(prefix: str, known: str | None = None) -> Reader:
    """An id of that kind; with `known`, only this one exists."""

    def read(value: str, name: str) -> str:
        if not re.fullmatch(f"{prefix}[0-9a-f]{{32}}", value):
            raise Refused(name, f"must be {prefix} and 32 hex digits")
        if known is not None and value != known:
            raise Refused(name, f"{value} does not exist")
        return value

    return read


def word(*choices: str, any_case: bool = False) -> Reader:
    def read(value: str, name: str) -> str:
        chosen = value.lower() if any_case else value
        if chosen not in choices:
            raise Refused(name, f"must be one of {', '.join(choices)}")
        return chosen

    return read


def flag(value: str, name: str) -> bool:
    return bool(word("true", "false", any_case=True)(value, name) == "true")


def whole(low: int = 0, high: int = 2**31 - 1) -> Reader:
    def read(value: str, name: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", value) or not low <= int(value) <= high:
            raise Refused(name, f"must be a whole number between {low} and {high}")
        return int(value)

    return read


def json_object(value: str, name: str) -> Json:
    return as_object(read_json(value, name), name)


def json_text(value: str, name: str) -> str:
    """A JSON object that is kept as it was written."""
    json_object(value, name)
    return value


def web_address(value: str, name: str) -> str:
    if not is_web_url(value) or len(value) > 2048 or re.search(r"\s", value):
        raise Refused(name, "must be an absolute http or https URL")
    return value


def moment(value: str, name: str) -> datetime:
    try:
        read = datetime.fromisoformat(value)
    except ValueError as problem:
        raise Refused(name, "must be a date and time in ISO 8601") from problem
    if read.tzinfo is None:
        raise Refused(name, "must say its time zone")
    return read


def duration(minimum_minutes: int) -> Reader:
    """An ISO 8601 duration, in seconds."""

    def read(value: str, name: str) -> int:
        found = DURATION.fullmatch(value)
        if not found or value == "P":
            raise Refused(name, "must be a duration in ISO 8601")
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        if 0 < total < minimum_minutes * 60:
            raise Refused(name, f"must be at least {minimum_minutes} minutes")
        return total

    return read
