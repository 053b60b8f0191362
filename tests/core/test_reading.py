"""Reading what others wrote: one odd character costs that character, and nothing ever raises but `Unreadable`."""

from __future__ import annotations

import codecs
import encodings
import json
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from encodings.aliases import aliases
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.reading import Unreadable, charset_of, clean, clean_text, decoded, encoded, form, parsed, stored
from tests.support.values import QUICK, json_values

NO_CHARSETS = {"charmap", "idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined"}
LATIN = "application/json; charset=ISO-8859-1"
READ: dict[str, tuple[bytes, str, Any]] = {
    "clean": (b'{"a":"\xc3\xa9"}', "", {"a": "é"}),
    "half a surrogate pair": (b'{"a":"x\\ud83d"}', "", {"a": "x\ufffd"}),
    "the other half": (b'{"a":"\\ude00x"}', "", {"a": "\ufffdx"}),
    "the halves the wrong way round": (b'{"a":"\\ude00\\ud83d"}', "", {"a": "\ufffd\ufffd"}),
    "both halves": (b'{"a":"\\ud83d\\ude00"}', "", {"a": "\U0001f600"}),
    "half a pair in a name": (b'{"\\ud83d":1}', "", {"\ufffd": 1}),
    "half a pair in a list": (b'[["\\ud83d"]]', "", [["\ufffd"]]),
    "a byte order mark": (b"\xef\xbb\xbf[1]", "", [1]),
    "a mark twice": (b"\xef\xbb\xbf\xef\xbb\xbf[1]", "", [1]),
    "NaN": (b'{"a":NaN}', "", {"a": None}),
    "infinities": (b"[Infinity,-Infinity]", "", [None, None]),
    "a number beyond all others": (b"[1e999,-1e999]", "", [None, None]),
    "a whole number beyond 64 bits": (b"[123456789012345678901234567890,NaN]", "", [1.2345678901234568e29, None]),
    "a whole number without end": (b"[" + b"9" * 5_000 + b",NaN]", "", [None, None]),
    "the longest whole numbers": (
        b"[-9223372036854775808,18446744073709551615,NaN]",
        "",
        [-(2**63), 2**64 - 1, None],
    ),
    "a fraction": (b"[1.5,2e2,NaN]", "", [1.5, 200.0, None]),
    "no UTF-8": (b'{"a":"caf\xe9"}', "", {"a": "caf\ufffd"}),
    "half a pair in bytes": (b'{"a":"\xed\xa0\xbd"}', "", {"a": "\ufffd\ufffd\ufffd"}),
    "Latin-1": (b'{"a":"caf\xe9"}', LATIN, {"a": "café"}),
    "Latin-1 that could be UTF-8": (b'{"a":"\xc3\xa9"}', LATIN, {"a": "Ã©"}),
    "Windows": (b'{"a":"\x80"}', "application/json; charset=windows-1252", {"a": "€"}),
    "a charset that nobody knows": (b'{"a":"\xc3\xa9"}', "application/json; charset=klingon", {"a": "é"}),
    "a charset that is none of texts": (b'{"a":"\xc3\xa9"}', "application/json; charset=hex", {"a": "é"}),
    "a charset that is Python's own": (b'{"a":"\\u0041"}', "x; charset=unicode_escape", {"a": "A"}),
    "ASCII that is not": (b'{"a":"\xc3\xa9"}', "application/json; charset=us-ascii", {"a": "é"}),
    "UTF-16 with its mark": ('{"a":"é"}'.encode("utf-16"), "", {"a": "é"}),
    "UTF-16 without": ('{"a":"é"}'.encode("utf-16-le"), "", {"a": "é"}),
    "UTF-16 by the header": ('{"a":"é"}'.encode("utf-16-be"), "x; charset=utf-16-be", {"a": "é"}),
    "UTF-32": ('{"a":"é"}'.encode("utf-32"), "", {"a": "é"}),
    "NUL by its number": (b'{"a":"x\\u0000y"}', "", {"a": "xy"}),
    "NUL by its number in a name": (b'{"a\\u0000":[{"b":"\\u0000"}]}', "", {"a": [{"b": ""}]}),
    "NUL as it is": (b'{"a":"x\x00y"}\x00', "", {"a": "xy"}),
    "a line break in a text": (b'{"a":"x\ny"}', "", {"a": "x\ny"}),
    "the same name twice": (b'{"a":1,"a":2}', "", {"a": 2}),
    "the same name twice, leniently": (b'{"a":1,"a":NaN,"a":2}', "", {"a": 2}),
}


@pytest.mark.parametrize(("body", "kind", "value"), READ.values(), ids=READ)
def test_json_is_read(body: bytes, kind: str, value: Any) -> None:
    assert value == parsed(body, kind)


NO_JSON = {
    "nothing": b"",
    "blank": b"  ",
    "half of it": b"{",
    "a form": b"a=b",
    "a page": b"<html>",
    "only a mark": b"\xef\xbb\xbf",
    "another language's": b"{'a':None}",
    "nested without end": b"[" * 100_000,
    "nested without end in objects": b'{"a":' * 100_000,
    "nested without end and odd": b'["\\ud83d",' * 100_000,
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable) as raised:
        parsed(body)
    assert str(raised.value)


@pytest.fixture
def usual_stack() -> Iterator[None]:
    """Whatever other tests have made of it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("usual_stack")
@pytest.mark.parametrize("odd", ["\\u0000", "\\ud83d"], ids=["read at once", "read leniently"])
def test_what_is_nested_too_deeply_to_be_cleaned_is_unreadable(odd: str) -> None:
    with pytest.raises(Unreadable):
        parsed("[" * 700 + f'"{odd}"' + "]" * 700)


@QUICK
@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()), st.sampled_from(["", LATIN, "utf-16"]))
def test_any_bytes_are_read_or_unreadable_and_what_is_read_can_be_written(body: bytes, kind: str) -> None:
    try:
        value = parsed(body, kind)
    except Unreadable:
        return
    assert orjson.loads(orjson.dumps(value)) == value


halves = st.text(st.characters(categories=["Cs", "L", "Cc"]), max_size=9)


@QUICK
@given(
    st.recursive(halves | st.floats() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(halves, inner))
)
def test_any_value_can_be_written(value: Any) -> None:
    assert clean(orjson.loads(encoded(value))) == clean(clean(value))
    encoded(value).decode()


@pytest.mark.usefixtures("usual_stack")
@pytest.mark.parametrize("depth", [300, 2_000])
def test_what_is_nested_too_deeply_can_be_no_json(depth: int) -> None:
    value: Any = "\ud83d"
    for _ in range(depth):
        value = [value]
    with pytest.raises(TypeError):
        encoded(value)


def test_what_is_written_is_as_it_was_where_nothing_is_odd() -> None:
    value = {"a": [1, "é", None, True, 1.5, "\0"]}
    assert orjson.dumps(value) == encoded(value)


def test_whole_numbers_without_end_are_nothing() -> None:
    assert b"[18446744073709551615,1.8446744073709552e+19,null]" == encoded([2**64 - 1, 2**64, 10**400])


def test_what_lies_in_the_store_is_read_whatever_stands_in_it() -> None:
    assert {"a": "\ufffd"} == stored('{"a":"\\ud83d"}')
    assert {"a": "\0"} == stored('{"a":"\\u0000"}')


FORMS: dict[str, tuple[bytes, str, list[tuple[str, str]]]] = {
    "clean": (b"a=caf%C3%A9+x&b=", "", [("a", "café x"), ("b", "")]),
    "Latin-1": (b"a=caf%E9", "x; charset=iso-8859-1", [("a", "café")]),
    "Latin-1 as it is": (b"a=caf\xe9", "x; charset=iso-8859-1", [("a", "café")]),
    "no UTF-8": (b"a=caf%E9", "", [("a", "caf\ufffd")]),
    "no UTF-8 as it is": (b"a=caf\xe9", "", [("a", "caf\ufffd")]),
    "a mark": (b"\xef\xbb\xbfa=b", "", [("a", "b")]),
    "half a surrogate pair": (b"a=%ED%A0%BD", "", [("a", "\ufffd\ufffd\ufffd")]),
    "an unknown charset": (b"a=%C3%A9", "x; charset=klingon", [("a", "é")]),
    "a repeated field": (b"a=1&a=2", "", [("a", "1"), ("a", "2")]),
    "no form": (b"{", "", [("{", "")]),
}


@pytest.mark.parametrize(("body", "kind", "fields"), FORMS.values(), ids=FORMS)
def test_a_form_is_read(body: bytes, kind: str, fields: list[tuple[str, str]]) -> None:
    assert fields == form(body, kind)


def test_a_form_has_so_many_fields_and_no_more() -> None:
    assert 2 == len(form(b"a=b&a=b", most_fields=2))
    with pytest.raises(Unreadable):
        form(b"a=b&a=b&a=b", most_fields=2)


@QUICK
@given(st.binary(), st.sampled_from(["", "x; charset=latin-1", "x; charset=utf-7", "x; charset=shift_jis"]))
def test_any_bytes_are_a_form(body: bytes, kind: str) -> None:
    for name, value in form(body, kind):
        f"{name}{value}".encode()


TEXTS: dict[str, tuple[bytes, tuple[str, ...], str]] = {
    "UTF-8 by default": ("é".encode(), (), "é"),
    "the first that can read it": (b"\xe9", ("utf-8", "cp1252"), "é"),
    "the mark knows better": ("é".encode("utf-8-sig"), ("latin-1",), "é"),
    "none can": (b"\xe9x", ("ascii",), "\ufffdx"),
    "UTF-7 with half a pair": (b"+2AA-", ("utf-7",), "\ufffd"),
    "UTF-16 that is none": (b"a\x00b", ("utf-16-le",), "a\x00b"),
}


@pytest.mark.parametrize(("body", "charsets", "text"), TEXTS.values(), ids=TEXTS)
def test_bytes_become_text(body: bytes, charsets: tuple[str, ...], text: str) -> None:
    assert text == decoded(body, *charsets)


CHARSETS = {
    "text/xml; charset=utf-8": "utf-8",
    "text/xml;charset=UTF8": "utf-8",
    'text/plain; format=flowed; charset="Windows-1252"': "cp1252",
    "text/xml; Charset = 'ISO-8859-15'": "iso8859-15",
    "text/xml": "",
    "text/xml; charset=": "",
    "text/xml; charset=klingon": "",
    "text/xml; charset=base64": "",
    "text/xml; charset=punycode": "",
    "text/xml; charset=raw_unicode_escape": "",
}


@pytest.mark.parametrize(("header", "charset"), CHARSETS.items())
def test_a_header_names_a_charset(header: str, charset: str) -> None:
    assert charset == charset_of(header)


def test_a_text_that_every_platform_can_be_told() -> None:
    assert "a\ufffdb\U0001f600" == clean_text("a\ud83d\0b\U0001f600")


def test_what_strangers_name_is_kept_nowhere() -> None:
    kept: dict[str, Any] = vars(encodings)["_cache"]
    before = set(kept)
    for number in range(50):
        for name in (f"klingon-{number}", f"UTF-8{'-' * number}", f"windows_1252.{number}", "x" * 5_000 + str(number)):
            charset_of(f"text/xml; charset={name}")
    assert before == set(kept)


def test_every_charset_of_texts_is_known_by_all_names_of_it() -> None:
    for name in {module.name for module in pkgutil.iter_modules(encodings.__path__)} | set(aliases):
        if name in NO_CHARSETS or name in ("mbcs", "oem"):
            continue
        expected = ""  # it is no codec, or not of texts, or one of another system
        with suppress(LookupError, UnicodeError):
            b"text".decode(name, "replace")
            expected = codecs.lookup(name).name
        spellings = (name, name.upper(), name.replace("_", "-"))
        assert {expected} == {charset_of(f"text/xml; charset={spelling}") for spelling in spellings}, name


def test_a_charsets_name_is_bounded() -> None:
    assert charset_of("text/xml; charset=" + "-" * 40 + "utf-8") == ""
