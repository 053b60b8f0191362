"""The keys of `[destinations.NAME]` with `type = "openai"`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from app.core.costs import AmountField
from app.core.schema import keepable, url_field
from app.core.settings import secret_field
from app.platforms.destination import DestinationSchema
from app.platforms.openai.completion import REASON, REPLY

OPENAI = "https://api.openai.com/v1"
TOOL = validate.Regexp(r"[A-Za-z0-9_-]{1,64}\Z", error="Must be 1 to 64 letters, digits, _ or -.")
WHEN = "Fetch a person, if the customer asks for one or you cannot help them."

# What the adapter itself says in a request; the rest of the API is open to `parameters`.
OURS = frozenset(
    [
        *("background", "conversation", "input", "instructions", "messages", "model", "n", "previous_response_id"),
        *("store", "stream", "stream_options", "tool_choice", "tools"),
    ]
)


def amount_field() -> AmountField:
    return AmountField(load_default=None)


class Settings(DestinationSchema):
    """`base_url` is the one that OpenAI's own libraries want; where it has no path, `/v1` is put behind it.

    `history_messages` and `history_tokens` (an estimate) bound what is told of the conversation so far. `handoff_by`:
    the model fetches people by calling `handoff_tool`, or by a flag of that name in an answer in JSON. `images`: as
    they are told to the model, as addresses or as data. Prices are in the currency of `[costs]`, for a million tokens.

    The server keeps nothing of a conversation, so a question may be asked again after a time-out. Where it runs tools
    of its own that change something, `resend_after_timeout` is to be false.
    """

    base_url = url_field(required=False)
    api_key = secret_field(load_default=None)
    model = fields.String(required=True, validate=validate.Length(min=1, max=256))
    api = fields.String(load_default="chat", validate=validate.OneOf(["chat", "responses"]))
    system_prompt = fields.String(load_default="")
    system_role = fields.String(load_default="system", validate=validate.OneOf(["system", "developer"]))
    history_messages = fields.Integer(load_default=30, validate=validate.Range(0, 500))
    history_tokens = fields.Integer(load_default=8_000, validate=validate.Range(0, 2_000_000))
    images = fields.String(load_default="none", validate=validate.OneOf(["none", "url", "data"]))
    handoff_by = fields.String(load_default="tool", validate=validate.OneOf(["tool", "json", "none"]))
    handoff_tool = fields.String(load_default="hand_over", validate=TOOL)
    handoff_when = fields.String(load_default=WHEN, validate=validate.Length(min=1, max=1_000))
    end_tool = fields.String(load_default=None, validate=TOOL)
    no_answer = fields.String(load_default="", validate=validate.Length(max=1_000))
    max_tokens = fields.Integer(load_default=None, validate=validate.Range(1))
    max_tokens_field = fields.String(
        load_default="max_completion_tokens", validate=validate.OneOf(["max_completion_tokens", "max_tokens"])
    )
    customer_field = fields.String(load_default="none", validate=validate.OneOf(["none", "safety_identifier", "user"]))
    parameters = fields.Dict(keys=fields.String(), load_default=dict, validate=keepable)
    stream = fields.Boolean(load_default=True)
    price_input, price_cached, price_output = amount_field(), amount_field(), amount_field()
    timeout = fields.Float(load_default=60.0, validate=validate.Range(0.1, 300))
    deadline = fields.Float(load_default=None, allow_none=True, validate=validate.Range(0.1))
    late = fields.String(load_default="send", validate=validate.OneOf(["send", "drop", "people"]))
    resend_after_timeout = fields.Boolean(load_default=True)

    @validates_schema
    def _leaves_ours_alone(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if taken := sorted(OURS.intersection(data["parameters"])):
            raise ValidationError(f"Must not hold what other settings say: {', '.join(taken)}.", "parameters")

    @validates_schema
    def _tools_have_two_names(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if data["end_tool"] == data["handoff_tool"]:
            raise ValidationError("Must differ from handoff_tool.", "end_tool")

    @validates_schema
    def _flags_have_names_of_their_own(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        for key in ("handoff_tool", "end_tool"):
            if data["handoff_by"] == "json" and data[key] in (REPLY, REASON):
                raise ValidationError(f"Must not be {data[key]}, which is another field of the answer in JSON.", key)

    @validates_schema
    def _whole_prices(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if (data["price_input"] is None) != (data["price_output"] is None):
            raise ValidationError("price_input and price_output belong together.", "price_output")
        if data["price_cached"] is not None and data["price_input"] is None:
            raise ValidationError("Wants price_input and price_output beside it.", "price_cached")
