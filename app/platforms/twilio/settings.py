"""The configuration keys that all of Twilio's products share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from app.core.settings import PlatformSchema, secret_field, sid_field


class TwilioSchema(PlatformSchema):
    """`auth_tokens`: the first one is used for calls, each of them for signatures, so a token can be rotated. With an
    API key (`api_key_sid`, `api_key_secret`) the calls use that one."""

    account_sid = sid_field("AC")
    auth_tokens = fields.List(secret_field(), required=True, validate=validate.Length(min=1, max=4))
    api_key_sid = sid_field("SK", required=False)
    api_key_secret = secret_field(load_default=None)

    @validates_schema
    def _whole_key(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if (data["api_key_sid"] is None) != (data["api_key_secret"] is None):
            raise ValidationError("api_key_sid and api_key_secret belong together.", "api_key_secret")
