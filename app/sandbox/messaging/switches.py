"""The switches for tests: how messages end, how we answer, and the content templates that there are."""

from dataclasses import asdict, replace

from flask import Blueprint, jsonify

from app.sandbox.answers import Answer, created
from app.sandbox.checks import Field, boolean, integer, list_of, one_of, optional, record, text
from app.sandbox.messaging.memory import MessagingMemory
from app.sandbox.messaging.records import Button, Content, Outcome
from app.sandbox.pages import protect, read_body
from app.sandbox.twilio.rest import Routes

OUTCOME = record(
    {
        "status": Field(one_of(("sent", "delivered", "undelivered", "failed"))),
        "error_code": optional(integer(10_000, 99_999)),
        "error_message": optional(text(minimum=1)),
        "to": optional(text(minimum=1)),
        "times": optional(integer(1, 100_000)),
    }
)
BUTTON = record({"text": Field(text(25, minimum=1)), "payload": Field(text(256, minimum=1))})
CONTENT = record(
    {
        "sid": Field(text(pattern="HX[0-9a-f]{32}", shape="HX and 32 hex digits")),
        "body": Field(text(1024, minimum=1)),
        "buttons": optional(list_of(BUTTON, maximum=10)),
    }
)
SWITCHES = record(
    {
        **{name: optional(boolean) for name in ("advanced_opt_out", "direct_media", "fallback")},
        "overrides": optional(text(pattern=r"[^#\s]*", shape="connection overrides without the #")),
    }
)


class Switchboard:
    def __init__(self, memory: MessagingMemory) -> None:
        self._memory = memory

    def show(self) -> Answer:
        return jsonify(asdict(self._memory.switches))

    def switch(self) -> Answer:
        """What is named is changed, everything else stays."""
        self._memory.switches = replace(self._memory.switches, **read_body(SWITCHES))  # type: ignore[arg-type]
        return self.show()

    def list_outcomes(self) -> Answer:
        return jsonify(outcomes=[outcome.as_json() for outcome in self._memory.outcomes])

    def add_outcome(self) -> Answer:
        outcome = Outcome(**read_body(OUTCOME))  # type: ignore[arg-type]  # the table above has checked every field
        self._memory.outcomes.append(outcome)
        return created(outcome.as_json())

    def list_contents(self) -> Answer:
        return jsonify(contents=[asdict(content) for content in self._memory.contents.values()])

    def add_content(self) -> Answer:
        body = read_body(CONTENT)
        given = body.get("buttons", [])
        assert isinstance(given, list)
        buttons = tuple(Button(**button) for button in given)
        content = Content(str(body["sid"]), str(body["body"]), buttons)
        self._memory.contents[content.sid] = content
        return created(asdict(content))


def create_blueprint(memory: MessagingMemory) -> Blueprint:
    board = Switchboard(memory)
    blueprint = Blueprint("messaging_switches", __name__, url_prefix="/messaging")
    routes = Routes(blueprint, memory)
    routes.add("GET", "/switches", board.show)
    routes.add("POST", "/switches", board.switch)
    routes.add("DELETE", "/switches", memory.switch_back)
    routes.add("GET", "/outcomes", board.list_outcomes)
    routes.add("POST", "/outcomes", board.add_outcome)
    routes.add("DELETE", "/outcomes", lambda: memory.outcomes.clear())
    routes.add("GET", "/contents", board.list_contents)
    routes.add("POST", "/contents", board.add_content)
    protect(blueprint)
    return blueprint
