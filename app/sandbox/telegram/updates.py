"""Telegram's webhooks: an update for each thing that a person does, one after the other in each chat.

What is not answered with 2xx is sent again, a few times. An answer may hold one call of the Bot API.
"""

import time
from collections import defaultdict
from dataclasses import dataclass
from threading import Lock

import requests

from app.sandbox.answers import Problem
from app.sandbox.checks import Json, Refused
from app.sandbox.client import send
from app.sandbox.faults import Faults, Outbox
from app.sandbox.telegram.bot_api import BotApi
from app.sandbox.telegram.memory import Memory, Message, Person

PATIENCE_SECONDS = 10.0
TRIES, PAUSE_SECONDS = 3, 0.3


@dataclass(frozen=True)
class Update:
    """`message`: the one that it tells of, if it does."""

    person: Person
    kind: str
    body: Json
    message: Message | None = None


class Updates:
    def __init__(self, memory: Memory, api: BotApi, faults: Faults) -> None:
        self._memory = memory
        self._api = api
        self._outbox: Outbox[Update] = Outbox("telegram", faults, self._deliver)
        self._chats: defaultdict[int, Lock] = defaultdict(Lock)

    def say(self, person: Person, content: Json) -> Message:
        message = self._memory.write(person, person.user, content, is_out=False)
        self._send(Update(person, "message", message.told, message))
        return message

    def edit(self, person: Person, message: Message, words: str) -> None:
        with self._memory.lock:
            message.told = {**message.told, "text": words, "edit_date": int(time.time())}
            self._memory.version += 1
        self._send(Update(person, "edited_message", message.told))

    def block(self, person: Person, blocked: bool) -> None:
        with self._memory.lock:
            person.has_blocked = blocked
            self._memory.version += 1
        old, new = ("member", "kicked") if blocked else ("kicked", "member")
        body: Json = {"chat": person.chat, "from": person.user, "date": int(time.time())}
        body |= {"old_chat_member": self._member(old), "new_chat_member": self._member(new)}
        self._send(Update(person, "my_chat_member", body))

    def reset(self) -> None:
        self._outbox.reset()

    def _member(self, status: str) -> Json:
        until = {"until_date": 0} if status == "kicked" else {}
        return {"user": self._api.bot, "status": status, **until}

    def _send(self, update: Update) -> None:
        allowed = self._memory.webhook.allowed
        if allowed and update.kind not in allowed:
            return
        for due in self._outbox.due(str(update.person.id), update, update.kind):
            self._deliver(due)

    def _deliver(self, update: Update) -> None:
        if self._outbox.meets("drop", update.kind):
            return
        times = 2 if self._outbox.meets("duplicate", update.kind) else 1
        body = {"update_id": self._memory.next_update(), update.kind: update.body}
        with self._chats[update.person.id]:
            errors = [self._try(body) for _ in range(times)]
        with self._memory.lock:
            self._memory.last_error = errors[0]
            if update.message:
                update.message.error = errors[0]
            self._memory.version += 1

    def _try(self, body: Json) -> str:
        """'' if the gateway took it, else why not."""
        problem = ""
        for number in range(TRIES):
            time.sleep(PAUSE_SECONDS if number else 0)
            status, problem = self._post(body)
            self._memory.keep("updates", {"status": status, "error": problem, **body})
            if not problem:
                break
        return problem

    def _post(self, body: Json) -> tuple[int | None, str]:
        webhook = self._memory.webhook
        if not webhook.url:
            return None, "No webhook is set"
        headers = {"X-Telegram-Bot-Api-Secret-Token": webhook.secret} if webhook.secret else {}
        try:
            answer = send(requests.Request("POST", webhook.url, json=body, headers=headers), PATIENCE_SECONDS)
        except requests.RequestException:
            return None, "Connection refused"
        if not answer.ok:
            return answer.status_code, f"Wrong response from the webhook: {answer.status_code} {answer.reason}"
        self._obey(answer)
        return answer.status_code, ""

    def _obey(self, answer: requests.Response) -> None:
        """The call that an answer may hold; nobody hears what became of it."""
        try:
            asked = answer.json()
            if isinstance(asked, dict) and "method" in asked:
                self._api.do(str(asked.pop("method")), asked)
        except (ValueError, KeyError, Problem) as problem:
            if isinstance(problem, Refused | Problem | KeyError):
                self._memory.keep("violations", {"field": "webhook's answer", "error": str(problem)})
