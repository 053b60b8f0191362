"""respond.io's outgoing calls: hands the agent's messages to the gateway and keeps the mId that it answers.

No retry and no request id: the platform documents neither. Two faults live here: `duplicate` makes a call twice,
`reorder` lets the next one go first.
"""

from dataclasses import dataclass

import requests

from app.sandbox.checks import Json
from app.sandbox.client import send
from app.sandbox.faults import Faults, Outbox
from app.sandbox.respondio.schema import MESSAGE_ID_LIMIT
from app.sandbox.respondio.workspace import Message, Workspace
from app.sandbox.settings import SandboxSettings

TIMEOUT_SECONDS = 10.0
CLIENT_ERROR = 4


@dataclass(frozen=True)
class Answer:
    """What became of one call: the gateway's id for the message, or a sentence for the agent."""

    status: int | None
    m_id: str | None = None
    error: str | None = None


class Outgoing:
    def __init__(self, settings: SandboxSettings, workspace: Workspace, faults: Faults) -> None:
        self._settings = settings
        self._workspace = workspace
        self._outbox: Outbox[Message] = Outbox("respondio", faults, self._deliver)

    def send(self, contact_id: str, content: Json) -> Message:
        """Write a message and call the gateway; returns it as it stands then (still queued if held back)."""
        message = self._workspace.write(contact_id, content)
        for due in self._outbox.due("", message):
            self._deliver(due)
        return self._workspace.message(message.sequence)

    def reset(self) -> None:
        self._outbox.reset()

    def _deliver(self, message: Message) -> None:
        calls = 2 if self._outbox.meets("duplicate") else 1
        with self._workspace.in_flight():
            answers = [self._call(message) for _ in range(calls)]
            m_ids = [answer.m_id for answer in answers if answer.m_id]
            self._workspace.answered(message.sequence, m_ids, answers[0].error)

    def _call(self, message: Message) -> Answer:
        answer = self._post(message)
        self._workspace.keep(
            "outgoing",
            {
                "contactId": message.contact_id,
                "message": message.content,
                "status": answer.status,
                "mId": answer.m_id,
                "error": answer.error,
            },
        )
        return answer

    def _post(self, message: Message) -> Answer:
        body = {
            "channelId": self._settings.respondio_channel_id,
            "contactId": message.contact_id,
            "message": message.content,
        }
        headers = {"Authorization": f"Bearer {self._settings.respondio_token}"}
        request = requests.Request("POST", self._settings.outgoing_url, json=body, headers=headers)
        try:
            response = send(request, TIMEOUT_SECONDS)
        except requests.RequestException:
            return Answer(None, error="The gateway could not be reached")
        return read_answer(response)


def read_answer(response: requests.Response) -> Answer:
    """200 gives `mId`; a 4xx gives `error.message`, which the agent is to read."""
    status = response.status_code
    body = _body(response)
    if status == requests.codes.ok:
        m_id = body.get("mId")
        if isinstance(m_id, str) and 1 <= len(m_id) <= MESSAGE_ID_LIMIT:
            return Answer(status, m_id=m_id)
        wanted = f"an mId of 1 to {MESSAGE_ID_LIMIT} characters"
        return Answer(status, error=f"The gateway answered without {wanted}")
    problem = body.get("error")
    reason = problem.get("message") if isinstance(problem, dict) else None
    if status // 100 == CLIENT_ERROR and isinstance(reason, str) and reason:
        return Answer(status, error=reason)
    return Answer(status, error=f"The gateway answered {status}")


def _body(response: requests.Response) -> Json:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
