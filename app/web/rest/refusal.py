"""What Twilio refuses: its codes (https://www.twilio.com/docs/api/errors), and the exception that carries one."""

from __future__ import annotations

UNKNOWN_PARAMETER, AUTHENTICATE, NO_SUCH_METHOD, BUSY, NOT_FOUND = 20001, 20003, 20004, 20009, 20404
BAD_KEY, TOO_MANY, BUG, UNAVAILABLE = 20422, 20429, 20500, 20503
BAD_TO, NO_BODY, NO_FROM, NO_TO, NOT_OURS, BAD_CALLBACK = 21211, 21602, 21603, 21604, 21606, 21609
OPTED_OUT, UNREACHABLE, TOO_LONG, BAD_MEDIA, TOO_MANY_MEDIA = 21610, 21612, 21617, 21620, 21623
BAD_CONTENT, BAD_VARIABLES, NO_SERVICE, EMPTY_SERVICE, TOO_LATE = 21655, 21656, 21701, 21703, 30409


class Refused(Exception):
    """A request that Twilio would refuse: its code, a sentence, and the status of HTTP."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
