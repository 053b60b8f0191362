"""Reads what others wrote, and writes what they can read: bytes as text, JSON and forms as values.

The rule: one odd character costs that character, never the message. What cannot be read is U+FFFD, a byte order mark
and NUL are left out, a number that is none (NaN, Infinity) is null. Clean UTF-8 goes the quick way through orjson.
"""

from __future__ import annotations

import codecs
import encodings
import json
import math
import re
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import partial
from pkgutil import iter_modules
from typing import Any
from urllib.parse import parse_qsl

import orjson

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
HALVES = re.compile("[\ud800-\udfff]")  # of surrogate pairs, which no encoding of texts can carry alone
CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:+-]+)", re.IGNORECASE)
MARKS = (  # the longer ones first: one begins like another
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
UTF_8 = "utf-8"
PYTHONS_OWN = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined"})  # no texts' charsets
LONGEST_CHARSET = 40  # characters of a charset's name
MAX_DIGITS = 20  # of a whole number of 64 bits, and its sign
TOO_DEEP = "it is nested too deeply"


def _plain(name: str) -> str:
    return normalize_encoding(name).lower().replace(".", "_")


# All that Python may be asked for: it keeps every name that it ever looked up, so strangers' own never reach it.
CHARSETS = {_plain(name): name for name in (*aliases, *(codec.name for codec in iter_modules(encodings.__path__)))}


class Unreadable(ValueError):
    """It is no JSON, or no form, however leniently it is read; the text says what is wrong."""


def parsed(body: bytes | str, content_type: str = "") -> Any:
    """The value of a JSON text.

    Args:
        content_type: the header, which may name a charset.

    Raises:
        Unreadable: it is no JSON, or nested too deeply.
    """
    charset = charset_of(content_type)
    try:
        value = orjson.loads(body if charset in ("", UTF_8) else _transcoded(body, charset))
    except orjson.JSONDecodeError as error:
        return _parsed_leniently(body, charset, str(error))
    escaped = "\\u0000" in body if isinstance(body, str) else b"\\u0000" in body
    try:
        return clean(value) if escaped else value
    except RecursionError:
        raise Unreadable(TOO_DEEP) from None


def stored(raw: bytes | str) -> Any:
    """The value of a JSON text that we wrote ourselves, or a version before us. Raises: Unreadable."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return parsed(raw)


def encoded(value: Any, option: int = 0) -> bytes:
    """The value as JSON, whatever characters and numbers stand in it. Raises: TypeError, it can be no JSON."""
    try:
        return orjson.dumps(value, option=option)
    except TypeError:
        pass
    try:
        return orjson.dumps(clean(value), option=option)
    except RecursionError:
        raise TypeError(TOO_DEEP) from None


def decoded(body: bytes, *charsets: str) -> str:
    """The text in the first of these charsets that can read all of it, else in UTF-8. A byte order mark knows better,
    and an unknown charset is passed over."""
    for mark, charset in MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(charset, "replace")
    known = [charset for charset in charsets if charset]
    for charset in (*known, UTF_8):
        try:
            return encodable(body.decode(charset))
        except UnicodeError:
            continue
    return encodable(body.decode((*known, UTF_8)[0], "replace"))


def form(text: bytes | str, content_type: str = "", most_fields: int | None = None) -> list[tuple[str, str]]:
    """The fields of a form or of a URL's query, blank ones too. Raises: Unreadable, there are too many."""
    charset = charset_of(content_type)
    plain = decoded(text, charset) if isinstance(text, bytes) else text
    read = partial(parse_qsl, keep_blank_values=True, encoding=charset or UTF_8, max_num_fields=most_fields)
    try:
        return read(plain, errors="replace")
    except ValueError as error:
        raise Unreadable(str(error)) from None


def charset_of(content_type: str) -> str:
    """The charset that a header names, by Python's name; '' if there is none, or none that we know."""
    found = CHARSET.search(content_type)
    name = CHARSETS.get(_plain(found[1])) if found and len(found[1]) <= LONGEST_CHARSET else None
    try:
        known = codecs.lookup(name).name if name else ""
        b"text".decode(known or UTF_8, "replace")
    except (LookupError, UnicodeError):  # a codec of something else than texts, or of another system
        return ""
    return "" if known.replace("_", "-") in PYTHONS_OWN else known


def encodable(text: str) -> str:
    """The text without halves of surrogate pairs."""
    return HALVES.sub(REPLACEMENT, text)


def clean_text(text: str) -> str:
    """The text as every platform can be told it."""
    return encodable(text.replace("\0", ""))


def clean(value: Any) -> Any:
    """A JSON value as every platform can be told it. Raises: RecursionError, it is nested too deeply."""
    match value:
        case str():
            return clean_text(value)
        case bool():
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else _as_fraction(value)
        case float():
            return value if math.isfinite(value) else None
        case list() | tuple():
            return [clean(entry) for entry in value]
        case dict():
            return {clean(name): clean(entry) for name, entry in value.items()}
    return value


def _as_fraction(number: int) -> float | None:
    try:
        return float(number)
    except OverflowError:
        return None


def _transcoded(body: bytes | str, charset: str) -> str:
    return body if isinstance(body, str) else decoded(body, charset)


def _parsed_leniently(body: bytes | str, charset: str, problem: str) -> Any:
    text = body if isinstance(body, str) else decoded(body, charset or json.detect_encoding(body))
    text = text.lstrip("\ufeff").replace("\0", "")
    try:
        return clean(
            json.loads(text, strict=False, parse_int=_number, parse_float=_number, parse_constant=lambda name: None)
        )
    except (ValueError, RecursionError):
        raise Unreadable(problem) from None


def _number(digits: str) -> int | float | None:
    """As orjson has it: what is too large for 64 bits is a fraction, and what is too large for that nothing."""
    if len(digits) <= MAX_DIGITS and digits.lstrip("-").isdecimal():
        return int(digits)  # `clean` sees to what is just too large
    number = float(digits)
    return number if math.isfinite(number) else None
