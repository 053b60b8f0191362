"""TaskRouter's side of a chat: finding its task and ending it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.http import Http
from app.platforms.flex.settings import base_url
from app.platforms.twilio.account import Account, Resource, path_part

# Where a task may go from its status when the chat is over.
ENDS = {"pending": "canceled", "reserved": "canceled", "assigned": "completed", "wrapping": "completed"}


class Tasks:
    """The tasks of a workspace; of none, if the configuration names no workspace."""

    def __init__(self, settings: Mapping[str, Any], account: Account, workspace: str | None) -> None:
        self._account = account
        base = base_url(settings, "taskrouter_url", "https://taskrouter.twilio.com")
        self._url = f"{base}/v1/Workspaces/{workspace}/Tasks" if workspace else ""

    def find(self, attribute: str, value: str, http: Http) -> Resource | None:
        """A task with this attribute, if there is one."""
        if not self._url:
            return None
        wanted = path_part(f'{attribute} == "{value}"')
        url = f"{self._url}?EvaluateTaskAttributes={wanted}&PageSize=1"
        return next(self._account.listed(url, "tasks", http, 1), None)

    def end(self, sid: str, http: Http) -> None:
        """Complete a task that somebody has, cancel one that nobody has; what is over stays so."""
        if not self._url:
            return
        task = self._account.find(f"{self._url}/{sid}", http)
        ending = ENDS.get(task["assignment_status"]) if task else None
        if ending:
            form = {"AssignmentStatus": ending, "Reason": "The chat is over."}
            self._account.call("POST", f"{self._url}/{sid}", http, form)
