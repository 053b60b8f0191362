"""Links of ours to files that a platform keeps for us: their address there holds our credentials, or lasts for minutes.

What a link leads to is signed, so nobody can have us ask for anything else.
"""

from __future__ import annotations

from collections.abc import Sequence

from itsdangerous import BadData, URLSafeTimedSerializer

from app.core.errors import Unverified


class Links:
    """Links below one platform's address, good for `keep` seconds.

    Args:
        secrets: the last one signs, all of them are good.
        salt: keeps the links of two platforms with one secret apart.
        callback: the address below which the platform's webhooks reach us (`callback` in its values).
    """

    def __init__(self, secrets: Sequence[str], salt: str, callback: str, keep: float) -> None:
        self._signer = URLSafeTimedSerializer(list(secrets), salt=salt)
        self._address = f"{callback}/media"
        self._keep = int(keep)

    def to(self, *names: str) -> str:
        """The address of the file that these names stand for."""
        return f"{self._address}/{self._signer.dumps(names)}"

    def read(self, token: str) -> tuple[str, ...]:
        """The names in a link's last part. Raises: Unverified, it is none of ours, or too old."""
        try:
            names = self._signer.loads(token, max_age=self._keep)
        except BadData:
            raise Unverified("the link is not valid any more") from None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Unverified("the link is not valid any more")
        return tuple(names)
