"""The `consent` table of a channel: its opt-out keywords by language, and who answers them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.core.consent import ANSWERS, KEYWORDS, WORDS, Keywords, Word, plain
from app.core.schema import TEXT_LIMIT
from app.core.settings import TablesField

LANGUAGE = r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z"
START: dict[Word, str] = {"START": ANSWERS["START"]}
ENGLISH = "en"  # the one language that has keywords and answers of its own


def _keywords() -> fields.List[str]:
    keyword = fields.String(validate=[validate.Length(max=64), _has_letters])
    return fields.List(keyword, load_default=None, validate=validate.Length(max=50))


def _has_letters(value: str) -> None:
    if not plain(value):
        raise ValidationError("Must be a word.")


def _answer() -> fields.String:
    return fields.String(load_default=None, validate=validate.Length(min=1, max=TEXT_LIMIT))


class LanguageSchema(Schema):
    """Keywords of one language, and what is answered to each kind."""

    stop, start, help = _keywords(), _keywords(), _keywords()
    stop_text, start_text, help_text = _answer(), _answer(), _answer()


class ConsentSchema(Schema):
    """`keywords = false`: none but START's is heard. `confirm` says when they are answered: where the platform does not
    do it (`needed`), `always`, or `never`."""

    keywords = fields.Boolean(load_default=True)
    confirm = fields.String(load_default="needed", validate=validate.OneOf(["needed", "always", "never"]))
    languages = TablesField(
        keys=fields.String(validate=validate.Regexp(LANGUAGE, error="Must be a language code, such as en or pt-BR.")),
        values=fields.Nested(LanguageSchema),
        load_default=dict,
    )

    @validates_schema
    def _one_meaning_and_an_answer(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        for code in data["languages"]:
            seen: dict[str, Word] = {}
            for word, spellings in _spelled(data, code).items():
                for keyword in spellings:
                    if seen.setdefault(plain(keyword), word) != word:
                        self._refuse(code, word.lower(), f"{keyword} stands for {seen[plain(keyword)]}, too.")
                if spellings and data["confirm"] != "never" and not _answers(data, code).get(word):
                    self._refuse(code, f"{word.lower()}_text", 'Required, or confirm = "never".')

    @staticmethod
    def _refuse(code: str, key: str, rule: str) -> None:
        raise ValidationError({code: {key: [rule]}}, "languages")


def keywords_of(values: Mapping[str, Any] | None, answered: frozenset[str]) -> Keywords:
    """The keywords that a channel hears.

    In any language, those count that its platform answers, because it has stopped or begun to carry messages by then,
    and those of START, because they also lift what the customer's platform or an operator said.

    Args:
        values: its `consent` table, valid, if it has one.
        answered: those that its platform answers by itself.
    """
    if values is None:
        values = {"keywords": bool(answered), "confirm": "needed", "languages": {}}
    codes = list(values["languages"]) or [ENGLISH]
    always: dict[Word, tuple[str, ...]] = {"START": KEYWORDS["START"]}
    if not values["keywords"]:
        return Keywords({"": (always, START)})
    theirs = {word: tuple(keyword for keyword in KEYWORDS[word] if plain(keyword) in answered) for word in WORDS}
    return Keywords(
        {code: (_spelled(values, code), _answers(values, code)) for code in codes} | {"": ({**theirs, **always}, START)}
    )


def confirms(values: Mapping[str, Any] | None, answered: frozenset[str], keyword: str) -> bool:
    """Whether the answer to a keyword is ours to give."""
    confirm = values["confirm"] if values else "needed"
    return confirm == "always" or (confirm == "needed" and plain(keyword) not in answered)


def _spelled(values: Mapping[str, Any], code: str) -> dict[Word, tuple[str, ...]]:
    language = values["languages"].get(code, {})
    return dict(_with_defaults(((word, language.get(word.lower())) for word in WORDS), KEYWORDS, code, ()))


def _answers(values: Mapping[str, Any], code: str) -> dict[Word, str]:
    language = values["languages"].get(code, {})
    return dict(_with_defaults(((word, language.get(f"{word.lower()}_text")) for word in WORDS), ANSWERS, code, ""))


def _with_defaults(pairs: Any, english: Mapping[Word, Any], code: str, otherwise: Any) -> Iterator[tuple[Word, Any]]:
    for word, value in pairs:
        yield word, (english[word] if code == ENGLISH else otherwise) if value is None else value
