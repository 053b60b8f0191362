"""What every adapter promises, whatever it speaks.

An adapter's tests inherit `Receiving` and `Calling` and fill in their tables; each entry of a table is one test, named
by its label. CONTRIBUTING.md has a whole one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.core import errors
from app.core.errors import BadWebhook, Failure, Kind, Unverified
from app.core.events import Event, Ignored, Webhook
from app.http import Http, Response
from app.platforms.proofs import SignsSamples
from tests.support import fixtures
from tests.support.examples import examples
from tests.support.processes import free_port
from tests.support.sink import Sink, Told
from tests.support.values import odd_bodies, spoiled

BASE = "https://gate.example.test"


def post(path: str, body: bytes, headers: Mapping[str, str]) -> Webhook:
    return Webhook("POST", BASE + path, path, {name.lower(): value for name, value in headers.items()}, body)


def changed(webhook: Webhook, **headers: str | None) -> Webhook:
    """The webhook with other headers (`_` for `-`); None takes one away."""
    new = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {**webhook.headers, **new}
    return replace(webhook, headers={name: value for name, value in kept.items() if value is not None})


class Conforming(ABC):
    """An adapter with its settings, and the tables that the tests below run over: `tables` names the method that makes
    each, by the argument of the tests. A subclass names more of its own."""

    adapter_class: ClassVar[Any]
    platform: ClassVar[str]
    values: ClassVar[dict[str, Any]]
    tables: ClassVar[dict[str, str]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        known = [vars(one).get("tables", {}) for one in reversed(type(self).__mro__)]
        for argument, method in (entry for table in known for entry in table.items()):
            if argument in metafunc.fixturenames:
                table: Mapping[str, Any] = getattr(self, method)()
                metafunc.parametrize(argument, list(table.values()), ids=list(table))

    def build(self, **changes: Any) -> Any:
        """The adapter, named `desk`, with changed settings."""
        schema = self.adapter_class.Settings()
        return self.adapter_class("desk", schema.load({**self.values, **changes}))

    @property
    def secrets(self) -> list[str]:
        found: list[str] = []
        for name, field in self.adapter_class.Settings().fields.items():
            inner = getattr(field, "inner", field)
            value = self.values.get(name)
            if inner.metadata.get("secret") and value:
                found += value if isinstance(value, list) else [value]
        assert found
        return found

    def assert_silent(self, *shown: object) -> None:
        """None of the things shown holds a secret."""
        text = " ".join(f"{thing} {thing!r}" for thing in shown)
        assert [secret for secret in self.secrets if secret in text] == []


# A body that breaks a rule, and the field that the refusal must name; None where that is the platform's to say.
BadBody = tuple[bytes, str | None]
BAD_BODIES: dict[str, BadBody] = {
    "empty": (b"", ""),
    "blank": (b"  ", ""),
    "not JSON": (b"{", ""),
    "a form": (b"type=message.created", ""),
    "a list": (b"[]", ""),
    "a word": (b'"hi"', ""),
    "null": (b"null", ""),
    "a number": (b"1", ""),
    "nested without end": (b'{"type":' + b"[" * 50_000, ""),
}
# What is no JSON is a form all the same: of one field without a value, perhaps, and so without those that it needs.
FORM_BAD_BODIES: dict[str, BadBody] = {
    "empty": (b"", None),
    "blank": (b"  ", None),
    "a word": (b"hi", None),
    "no form": (b"{", None),
    "no field that we know": (b"a=b", None),
    "no UTF-8": (b"\xff=\xff", None),
    "too many fields": (b"&".join([b"a=b"] * 10_001), None),
}


class Receiving(Conforming):
    """`sign` makes a webhook that verifies. The tables: what `spoil` makes of a good webhook must not verify;
    `bad_bodies` must be refused by name; `unknown` are passed over politely. With `forms` the platform posts forms: its
    fixtures and bad bodies are objects of JSON all the same, whose fields are posted."""

    tables: ClassVar[dict[str, str]] = {"spoil": "spoils", "bad": "all_bad_bodies", "unknown": "all_unknown"}
    good: ClassVar[str]
    forms: ClassVar[bool] = False

    @abstractmethod
    def sign(self, body: bytes, **changes: Any) -> Webhook: ...

    @abstractmethod
    def spoils(self) -> dict[str, Callable[[Webhook], Webhook]]: ...

    def bad_bodies(self) -> dict[str, tuple[Any, str]]:
        """What this platform refuses beyond `BAD_BODIES` or `FORM_BAD_BODIES`, and the field that it names."""
        return {}

    def rotated(self) -> Any:
        """The adapter with a new secret before the old one; None where a platform has only one."""
        return None

    def all_bad_bodies(self) -> dict[str, BadBody]:
        own = {label: (orjson.dumps(value), field) for label, (value, field) in self.bad_bodies().items()}
        return {**(FORM_BAD_BODIES if self.forms else BAD_BODIES), **own}

    def all_unknown(self) -> dict[str, bytes]:
        return {name: fixtures.raw(self.platform, name) for name in fixtures.names(self.platform, "unsupported_")}

    def posted(self, body: bytes) -> Webhook:
        """A fixture as the platform posts it."""
        return self.sign(fixtures.as_form(body) if self.forms else body)

    @property
    def a_good_one(self) -> Webhook:
        return self.posted(fixtures.raw(self.platform, self.good))

    def test_it_verifies_what_is_signed_well(self) -> None:
        self.build().verify(self.a_good_one)

    def test_it_refuses_what_is_not(self, spoil: Callable[[Webhook], Webhook]) -> None:
        with pytest.raises(Unverified) as raised:
            self.build().verify(spoil(self.a_good_one))
        assert str(raised.value)
        self.assert_silent(raised.value)

    def test_it_takes_old_and_new_secrets_during_a_rotation(self) -> None:
        if adapter := self.rotated():
            adapter.verify(self.a_good_one)

    def test_it_names_what_is_wrong_with_a_body(self, bad: BadBody) -> None:
        body, field = bad
        with pytest.raises(BadWebhook) as raised:
            self.build().parse(self.posted(body))
        assert field in (raised.value.field, None)
        assert raised.value.rule
        self.assert_silent(raised.value)

    def test_it_passes_over_what_it_does_not_know(self, unknown: bytes) -> None:
        (event,) = self.build().parse(self.posted(unknown))
        assert isinstance(event, Ignored)

    def test_any_json_becomes_events_or_a_named_problem(self) -> None:
        adapter = self.build()
        valid = [fixtures.value(self.platform, name) for name in self.webhooks()]

        @settings(deadline=None, max_examples=examples(300), suppress_health_check=[HealthCheck.differing_executors])
        @given(spoiled(valid).map(orjson.dumps) | st.binary(max_size=50))
        def holds(body: bytes) -> None:
            webhook = self.posted(body)
            try:
                events = adapter.parse(webhook)
            except BadWebhook:
                return
            assert all(isinstance(event, Event) for event in events)

        holds()

    def webhooks(self) -> list[str]:
        return fixtures.names(self.platform)

    def test_every_fixture_is_read(self) -> None:
        for name in self.webhooks():
            if not name.startswith("unsupported_"):
                (event,) = self.build().parse(self.posted(fixtures.raw(self.platform, name)))
                assert isinstance(event, Event), name
                assert not isinstance(event, Ignored), name


def date_in(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


# What the platform does, the kind of failure, whether the call may have been carried out, and for how long to wait.
OUTCOMES: dict[str, tuple[Told, Kind, bool, tuple[float, float] | None]] = {
    "429": (Told(429), errors.THROTTLED, False, None),
    "429 with seconds": (Told(429, headers={"Retry-After": "17"}), errors.THROTTLED, False, (17, 17)),
    "429 with a date": (Told(429, headers={"Retry-After": date_in(3000)}), errors.THROTTLED, False, (2000, 3000)),
    "429 with nonsense": (Told(429, headers={"Retry-After": "soon"}), errors.THROTTLED, False, None),
    "500": (Told(500), errors.UNAVAILABLE, False, None),
    "502": (Told(502), errors.UNAVAILABLE, True, None),
    "503": (Told(503), errors.UNAVAILABLE, False, None),
    "503 with seconds": (Told(503, headers={"Retry-After": "5"}), errors.UNAVAILABLE, False, (5, 5)),
    "504": (Told(504), errors.UNAVAILABLE, True, None),
    "400": (Told(400, b'{"error":"no"}'), errors.REJECTED, False, None),
    "401": (Told(401), errors.UNAUTHORISED, False, None),
    "403": (Told(403), errors.REJECTED, False, None),
    "404": (Told(404), errors.MISCONFIGURED, False, None),
    "408": (Told(408), errors.TIMED_OUT, False, None),
    "410": (Told(410), errors.GONE, False, None),
    "a redirect": (Told(302, headers={"Location": "/elsewhere"}), errors.REJECTED, False, None),
    "a dropped connection": (Told(drop=True), errors.UNAVAILABLE, True, None),
}


QUOTED = 200  # characters of an answer without words of its own


def unused(*args: Any, **kwargs: Any) -> None:
    """For what an adapter is given and must leave alone."""
    raise AssertionError("this platform has nothing to remember")


class Signing(Receiving):
    """Its way of signing can be followed."""

    def test_a_sample_of_our_own_is_good_and_says_nothing(self) -> None:
        adapter = self.build()
        assert isinstance(adapter, SignsSamples)
        sample = adapter.sample(f"{BASE}/channels/desk")
        assert sample.url.startswith(f"{BASE}/channels/desk")
        adapter.verify(sample)
        assert {Ignored} == set(map(type, adapter.parse(sample)))


class Calling(Conforming):
    """`calls` are the verbs that speak to the platform, each as a function of the adapter and http; `url_key` names the
    setting that holds the platform's address; `answer` is what it looks for in answers, beside what others do."""

    url_key: ClassVar[str]
    answer: ClassVar[dict[str, Any]] = {}
    tables: ClassVar[dict[str, str]] = {"call": "calls", "outcome": "outcomes"}

    @abstractmethod
    def calls(self) -> dict[str, Callable[[Any, Http], object]]: ...

    def outcomes(self) -> dict[str, Any]:
        return OUTCOMES

    def adapter_on(self, url: str, **changes: Any) -> tuple[Any, Http]:
        """As the gateway makes them: no failure may quote a secret of the configuration."""
        return self.build(**{self.url_key: url, **changes}), Http([url], secrets=self.secrets)

    def failure(self, call: Callable[[Any, Http], object], url: str, **changes: Any) -> Failure:
        adapter, http = self.adapter_on(url, **changes)
        with pytest.raises(Failure) as raised:
            call(adapter, http)
        self.assert_silent(raised.value, raised.value.detail, adapter, http)
        return raised.value

    def test_a_failed_call_has_its_kind(
        self, call: Callable[[Any, Http], object], outcome: tuple[Told, Kind, bool, Any], outside: Sink
    ) -> None:
        told, kind, maybe_done, wait = outcome
        outside.answers(told)
        failure = self.failure(call, outside.url)
        assert (kind, maybe_done) == (failure.kind, failure.maybe_done)
        assert (wait is None) == (failure.retry_after is None)
        if wait and failure.retry_after is not None:
            assert wait[0] <= failure.retry_after <= wait[1]
        assert len(outside.calls) == 1

    def test_a_call_that_hangs_is_timed_out(self, call: Callable[[Any, Http], object], outside: Sink) -> None:
        outside.answers(Told(hang=True))
        failure = self.failure(call, outside.url, timeout=0.2)
        assert (failure.kind, failure.maybe_done) == (errors.TIMED_OUT, True)

    def test_a_refused_connection_proves_that_nothing_was_done(self, call: Callable[[Any, Http], object]) -> None:
        failure = self.failure(call, f"http://127.0.0.1:{free_port()}")
        assert (failure.kind, failure.maybe_done) == (errors.UNAVAILABLE, False)

    def answered(self) -> dict[str, Callable[[Any, Http], object]]:
        """The verbs whose answers are read, for whatever they are."""
        return self.calls()

    def test_any_answer_is_a_result_or_a_failure(self) -> None:
        adapter, verbs = self.build(), self.answered()

        @settings(deadline=None, max_examples=examples(200), suppress_health_check=list(HealthCheck))
        @given(answers({**ANSWER, **self.answer}), st.sampled_from(sorted(verbs)))
        def holds(http: Http, verb: str) -> None:
            with suppress(Failure):
                repr(verbs[verb](adapter, http)).encode()

        holds()

    def test_a_platform_that_repeats_our_credentials_is_not_quoted(
        self, call: Callable[[Any, Http], object], outside: Sink
    ) -> None:
        secrets = " ".join(self.secrets)
        outside.answer = lambda asked: Told(400, f"{asked.headers.get('authorization', '')} {secrets}".encode())
        failure = self.failure(call, outside.url)
        sent = outside.calls[0].headers.get("authorization", "none").rpartition(" ")[2]
        assert sent not in str(failure)

    def test_no_half_of_a_secret_is_quoted(self, call: Callable[[Any, Http], object], outside: Sink) -> None:
        for secret in self.secrets:
            outside.answers(Told(400, (" " + "." * (QUOTED - 10) + secret).encode()))
            assert secret[:8] not in str(self.failure(call, outside.url))


# What stands in answers of platforms: everything that some adapter looks for.
RESOURCE: dict[str, Any] = {
    "sid": "CH1",
    "index": 1,
    "status": "queued",
    "state": "active",
    "body": "Hi",
    "attributes": "{}",
    "id": "x-1",
    "account_sid": "AC1",
    "chat_service_sid": "IS1",
    "conversation_sid": "CH1",
    "task_sid": "WT1",
    "from": "ada",
    "author": "ada",
    "identity": "ada",
    "assignment_status": "pending",
    "num_media": "0",
    "direction": "inbound",
    "date_created": "Thu, 01 Jan 2026 00:00:00 +0000",
    "price": "-0.01",
    "price_unit": "USD",
    "media": [{"sid": "ME"}],
    "last_consumed_message_index": 1,
    "last_read_message_index": None,
    "conversation_state": "active",
    "code": 1,
    "message": "Not there.",
    "channel": {"sid": "UO1"},
    "links": {"content_direct_temporary": "https://a.test/b"},
    "configuration": {"url": "https://a.test", "flow_sid": None, "filters": ["onMessageAdded"]},
    "meta": {"next_page_url": "https://a.test/b?c=d"},
    "next_page_uri": None,
}
ANSWER: dict[str, Any] = {
    **RESOURCE,
    **{name: [RESOURCE] for name in ("messages", "members", "participants", "webhooks", "conversations", "tasks")},
    "recordings": [RESOURCE],
    "response": {"says": [{"text": "Hi", "speech": "<s>Hi</s>"}], "shows": [{"display_text": "A", "images": []}]},
    "dialogue": {
        "sid": "UK1",
        "current_task": "chat",
        "memory": {"handoff": True, "twilio": {"a": {"CallSid": "CA1"}}},
    },
}
HEADERS = [{}, {"content-type": "text/xml"}, {"content-type": "application/json; charset=latin-1"}]
MOVES = [{"location": "http://[x"}, {"location": "\xff"}, {"retry-after": "٣"}, {"content-encoding": "gzip"}]
COOKIES = ["a=b; Max-Age=" + "9" * 5_000, "a=b; Expires=Thu, 01 Jan 99999 00:00:00 GMT", "\xff=\xfe; Path", "a"]


class Answering(Http):
    """The outside world that gives one answer to everything."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, cookies: tuple[str, ...]) -> None:
        super().__init__()
        self._answer = Response(status, headers, body, cookies=cookies)
        self._left = MAX_CALLS

    def _call(self, *args: Any) -> Response:  # type: ignore[override]  # it needs to know what it answers
        self._left -= 1
        if self._left < 0:
            raise Failure(errors.TIMED_OUT, "enough")
        return self._answer


MAX_CALLS = 40  # a chat whose pages lead on and on


def answers(good: dict[str, Any]) -> st.SearchStrategy[Answering]:
    """The good one, and what is made of it."""
    return st.builds(
        Answering,
        st.sampled_from([200, 200, 200, 201, 204, 302, 400, 404, 409, 429, 500]),
        st.sampled_from([*HEADERS, *MOVES]),
        odd_bodies([good]) | st.just(b"") | st.just(orjson.dumps(good)),
        st.lists(st.sampled_from(COOKIES), max_size=2).map(tuple),
    )
