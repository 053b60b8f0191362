"""How acceptances travel to `accept.lua`: what every message has as it is, in the order that the script's header names,
and as JSON what only some have. To read JSON takes a script as long as some commands do.
"""

from __future__ import annotations

from typing import Any

from app.core.acceptance import Acceptance, ConsentStatement
from app.core.message import encode
from app.store.wire import Request, Wire


class Arrivals(Wire):
    """Writes acceptances besides."""

    def acceptance(self, a: Acceptance) -> tuple[Any, ...]:
        limits, entry, message = self._limits, a.entry, a.entry.message
        return (
            message.id,
            encode(message),
            message.conversation,
            message.direction,
            entry.report_to,
            entry.lane,
            a.scope,
            int(a.window * 1000) if a.window else limits.window_ms(a.scope),
            limits.mailbox,
            limits.lane // 2 if entry.bulk else limits.lane,  # replies have room yet
            limits.retention_of(message.channel),
            limits.session_keep,
            "1" if a.follow else "",
            self._more_of(a) or "",
        )

    def _more_of(self, a: Acceptance) -> Request:
        """What only some messages have."""
        request = self._marks(a.entry)
        if a.entry.live:
            request["live"] = True
        if a.entry.bulk:
            request["bulk"] = True
        if a.show:
            request["show"] = True
        if who := a.responder:
            request["take"] = {"destination": who.destination, "mode": who.mode, "seize": who.seize}
        if a.place:
            request["thread"] = self.place(a.place)
        if a.second_scope:
            request["also"] = a.second_scope
        more = a.more
        if a.consent:
            request |= self._consent(a.consent, live=a.entry.live)
            more += (a.consent.answer,) if a.consent.answer else ()
        if more:
            request["more"] = [self._append(one) for one in more]
        if a.cost:
            request["cost"] = self._cost(a.cost, a.entry.message.channel)
        if a.same_person:
            request["names"] = list(a.same_person)
        return request

    def _consent(self, said: ConsentStatement, *, live: bool) -> Request:
        if not said.state:
            return {}
        consent: Request = {"state": said.state, "by": said.by}
        if live:  # whoever opens a chat is a new customer; nobody comes back to it after that time
            consent["keep"] = self._limits.session_keep
        return {"consent": consent}
