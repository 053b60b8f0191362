"""TaskRouter's side of a thread: finding its task and ending it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.http import Http
from app.platforms.flex.settings import base_url
from app.platforms.twilio.account import Account, Resource, path_part

# Where a task may go from its status when its thread is over.
ENDS = {"pending": "canceled", "reserved": "canceled", "assigned": "completed", "wrapping": "completed"}


class Tasks:
    """The tasks of a workspace; of none, if the configuration names no workspace. `attribute` is the one by which a
    task names its thread."""

    def __init__(self, settings: Mapping[str, Any], account: Account, workspace: str | None, attribute: str) -> None:
        self._account = account
        self.attribute = attribute
        base = base_url(settings, "taskrouter_url", "https://taskrouter.twilio.com")
        self._url = f"{base}/v1/Workspaces/{workspace}/Tasks" if workspace else ""

    def find(self, thread: str, http: Http) -> Resource | None:
        """A task of this thread, if there is one."""
        if not self._url:
            return None
        wanted = path_part(f'{self.attribute} == "{thread}"')
        url = f"{self._url}?EvaluateTaskAttributes={wanted}&PageSize=1"
        return next(self._account.listed(url, "tasks", http, 1), None)

    def end(self, handles: Mapping[str, Any], http: Http) -> None:
        """End a thread's task: complete one that somebody has, cancel one that nobody has; what is over stays so. One
        that Flex made later, or a flow, is found by the thread."""
        found = None if handles.get("task") else self.find(handles["chat"], http)
        sid = found["sid"] if found else handles.get("task")
        task = self._account.find(f"{self._url}/{sid}", http) if sid and self._url else None
        ending = ENDS.get(task["assignment_status"]) if task else None
        if ending:
            form = {"AssignmentStatus": ending, "Reason": "The chat is over."}
            self._account.call("POST", f"{self._url}/{sid}", http, form)
