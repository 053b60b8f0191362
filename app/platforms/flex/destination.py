"""A Flex destination, put together from parts; each type in the configuration is a set of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from app.core.events import Accepted, Answer, Checkup, Event, Reply, StatusReport, Webhook
from app.core.session import Session
from app.http import Http
from app.platforms.destination import Delivery, Handoff, Who
from app.platforms.flex.interactions import Interactions
from app.platforms.flex.media import Media
from app.platforms.flex.messages import Messages
from app.platforms.flex.provision import Provisioning
from app.platforms.flex.session import CAPABILITIES, Sessions
from app.platforms.flex.steps import Step
from app.platforms.flex.tasks import Tasks
from app.platforms.flex.threads import Threads
from app.platforms.flex.webhooks import Webhooks

POLL_EVERY = 300.0  # seconds


class Parts(Struct, frozen=True):
    """What a generation of Flex brings along. Without `interactions` its threads are routed by themselves."""

    threads: Threads
    steps: Sequence[Step]
    tasks: Tasks
    provision: Callable[[Provisioning], dict[str, str]]
    interactions: Interactions | None = None
    poll_every: float = POLL_EVERY


class FlexDestination:
    """See `app.platforms.destination.Destination` for the verbs."""

    capabilities = CAPABILITIES
    deadline = None
    late = "send"
    repeats_for = 0.0  # three times at most (`RetryCount`), at once
    calls = 6  # is it there already, fetch a file (which may have moved twice), bring it up, send

    def __init__(self, name: str, settings: Mapping[str, Any], parts: Parts) -> None:
        self.name = name
        self.session_timeout: float = settings["session_timeout"]
        self.watch: float = settings["check_every"] or parts.poll_every
        self.farewell: str | None = settings["ended_text"]
        self.account = parts.threads.account
        self.provision = parts.provision
        self._files = Media(name, settings, self.account)
        service, upload = settings["chat_service_sid"] or "", settings["media"] == "upload"
        messages = Messages(parts.threads, self._files, service, upload=upload)
        self._webhooks = Webhooks(parts.threads.generation, messages)
        self._sessions = Sessions(
            parts.threads, parts.steps, messages, parts.tasks, parts.interactions, settings["target"]
        )

    # Webhooks

    def verify(self, webhook: Webhook) -> None:
        self.account.verify(webhook)

    def parse(self, webhook: Webhook) -> list[Event]:
        return self._webhooks.parse(webhook)

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        return Reply(200, "")

    def refuse(self, webhook: Webhook, status: int, sentence: str) -> Reply:
        """403 for a bad signature. A thread that we do not know is no error that Twilio could mend."""
        if status == 404:
            return Reply(200, "")
        return Reply(403 if status == 401 else status, {"error": {"message": sentence}})

    # Sessions

    def deliver(self, delivery: Delivery, http: Http) -> Answer:
        return self._sessions.deliver(delivery, http)

    def open(self, handoff: Handoff, http: Http) -> Answer:
        return self._sessions.open(handoff, http)

    def report(self, report: StatusReport, http: Http) -> None:
        self._sessions.report(report, http)

    def check(self, session: Session, seen: int | None, http: Http) -> Checkup:
        return self._sessions.poll(session.handles, seen, http)

    def close(self, session: Session, who: Who, http: Http) -> None:
        self._sessions.close(session, who, http)

    def abandon(self, session: Session, http: Http) -> bool:
        return self._sessions.abandon(session, http)

    # Files of agents

    def check_link(self, token: str) -> str:
        return " ".join(self._files.links.read(token))

    def media(self, token: str, http: Http) -> str:
        return self._files.where(token, http)
