"""Links of ours to files at Twilio, each of which has two sids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.errors import Unverified
from app.platforms import links


class Links(links.Links):
    """See `app.platforms.links`. Links outlive a rotation of the tokens: the last one signs, all of them are good."""

    def __init__(self, settings: Mapping[str, Any], salt: str) -> None:
        super().__init__(settings["auth_tokens"][::-1], salt, settings["callback"], settings["media_keep"])

    def read(self, token: str) -> tuple[str, str]:
        """The sids in a link's last part. Raises: Unverified, it is none of ours, or too old."""
        sids = super().read(token)
        if len(sids) != 2:
            raise Unverified("the link is not valid any more")
        return sids[0], sids[1]
