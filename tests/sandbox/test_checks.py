import pytest

from app.sandbox.checks import (
    Field,
    Refused,
    integer,
    list_of,
    number,
    one_of,
    optional,
    read_json,
    read_json_body,
    record,
    text,
    url,
    variant,
)

PERSON = record({"name": Field(text(5, 1)), "age": optional(integer(0, 150))})
SHAPE = variant("type", {"dot": record({"type": Field(text())}), "person": record({"type": Field(text())})})

REFUSED = {
    "text of the wrong type": (text(), 5, "f: must be a string, not a number"),
    "text that is null": (text(), None, "f: must be a string, not null"),
    "text that is empty": (text(minimum=1), "", "f: must not be empty"),
    "text that is too long": (text(3), "four", "f: must have at most 3 characters, has 4"),
    "text of another alphabet": (text(pattern="[a-z]+", shape="small"), "ab\n", "f: must be small"),
    "url without scheme": (url(), "example.test/a", "f: must be an absolute http or https URL"),
    "url of another scheme": (url(), "javascript:alert(1)", "f: must be an absolute http or https URL"),
    "url with a space": (url(), "https://example.test/a b", "f: must be a URL without spaces"),
    "url that is too long": (url(20), "https://example.test/a", "f: must have at most 20 characters, has 22"),
    "url that cannot be parsed": (url(), "http://[half", "f: must be an absolute http or https URL"),
    "number that is a boolean": (number(0, 1), True, "f: must be a number, not a boolean"),
    "number out of range": (number(-1, 1), 1.5, "f: must lie between -1 and 1"),
    "integer that is a float": (integer(0, 9), 1.0, "f: must be an integer, not a number"),
    "integer that is a boolean": (integer(0, 9), False, "f: must be an integer, not a boolean"),
    "integer out of range": (integer(0, 9), 10, "f: must be an integer between 0 and 9"),
    "unknown word": (one_of(("a", "b")), "c", "f: must be one of a, b"),
    "list that is none": (list_of(text()), {}, "f: must be an array, not an object"),
    "list that is empty": (list_of(text()), [], "f: must have 1 to any number of entries, has 0"),
    "list that is too long": (list_of(text(), 1, 2), ["a"] * 3, "f: must have 1 to 2 entries, has 3"),
    "wrong entry of a list": (list_of(text()), ["a", 1], "f[1]: must be a string, not a number"),
    "record that is none": (PERSON, [], "f: must be an object, not an array"),
    "record with an unknown field": (PERSON, {"name": "Ada", "x": 1}, "f.x: is not a known field"),
    "record without a field": (PERSON, {}, "f.name: is missing"),
    "record with a null": (PERSON, {"name": "Ada", "age": None}, "f.age: must be an integer, not null"),
    "variant without its word": (SHAPE, {}, "f.type: is missing"),
    "variant with a word unknown": (SHAPE, {"type": "x"}, "f.type: must be one of dot, person"),
    "variant with a list as word": (SHAPE, {"type": []}, "f.type: must be one of dot, person"),
}


@pytest.mark.parametrize(("check", "value", "expected"), REFUSED.values(), ids=REFUSED)
def test_it_refuses_and_names_the_field(check, value, expected):
    with pytest.raises(Refused) as caught:
        check(value, "f")
    assert expected == str(caught.value)


TAKEN = {
    "longest text": (text(4), "four"),
    "characters, not bytes": (text(2), "öß"),
    "bounds of a number": (number(-24, 24), -24),
    "record without its optional field": (PERSON, {"name": "Ada"}),
    "variant": (SHAPE, {"type": "dot"}),
    "url": (url(), "http://127.0.0.1:80/a?b=c"),
}


@pytest.mark.parametrize(("check", "value"), TAKEN.values(), ids=TAKEN)
def test_it_takes(check, value):
    check(value, "f")


NOT_JSON = {
    "broken": b"{",
    "not utf-8": b'"\xff"',
    "NaN": b'{"a": NaN}',
    "a field twice": b'{"a": 1, "a": 2}',
    "endless nesting": b"[" * 100_000,
}


@pytest.mark.parametrize("raw", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_refused(raw):
    with pytest.raises(Refused, match=r"^Memory: "):
        read_json(raw, "Memory")


def test_json_must_be_declared():
    with pytest.raises(Refused, match=r"^Content-Type: "):
        read_json_body("text/plain", b"{}")
