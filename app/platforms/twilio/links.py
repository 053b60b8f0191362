"""Links of ours to files at Twilio, which nobody else may fetch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.errors import Unverified
from app.platforms.links import Links as Signed


class Links:
    """See `app.platforms.links`; a file has two sids, and links outlive a rotation of the tokens that sign them."""

    def __init__(self, settings: Mapping[str, Any], salt: str) -> None:
        # the last token signs, all of them are good
        self._links = Signed(settings["auth_tokens"][::-1], salt, settings["callback"], settings["media_keep"])

    def to(self, *sids: str) -> str:
        """The address of the file that these two sids name."""
        return self._links.to(*sids)

    def read(self, token: str) -> tuple[str, str]:
        """The sids in a link's last part. Raises: Unverified, it is none of ours, or too old."""
        try:
            first, second = self._links.read(token)
        except ValueError:
            raise Unverified("the link is not valid any more") from None
        return first, second
