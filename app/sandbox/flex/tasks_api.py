"""TaskRouter: the tasks of the Flex workspace."""

import json
import re
from datetime import UTC, datetime

from flask import jsonify

from app.sandbox.checks import Json, Refused
from app.sandbox.flex.events import Actor
from app.sandbox.flex.form import Param, json_object, whole, word, words
from app.sandbox.flex.memory import Memory
from app.sandbox.flex.records import Task, iso
from app.sandbox.flex.rest import Answer, Routes, not_found, own_url, page, read_form, read_query
from app.sandbox.flex.rooms import Rooms
from app.sandbox.settings import SandboxSettings

TASKS = "/taskrouter/v1/Workspaces/<workspace_sid>/Tasks"
STATUSES = ("pending", "reserved", "assigned", "canceled", "completed", "wrapping")
UPDATE = {
    "AssignmentStatus": Param(word(*STATUSES)),
    "Reason": Param(words()),
    "Attributes": Param(json_object),
    "Priority": Param(whole()),
}
# One comparison is played; names may reach into objects with dots.
EXPRESSION = re.compile(r"""\s*([\w.]+)\s*==\s*(?:"([^"]*)"|'([^']*)')\s*""")


class TasksApi:
    def __init__(self, settings: SandboxSettings, memory: Memory, rooms: Rooms) -> None:
        self._settings = settings
        self._memory = memory
        self._rooms = rooms

    def register(self, routes: Routes) -> None:
        routes.add("GET", TASKS, self.list)
        routes.add("GET", f"{TASKS}/<task_sid>", self.fetch)
        routes.add("POST", f"{TASKS}/<task_sid>", self.update)

    def list(self, workspace_sid: str) -> Answer:
        self._check(workspace_sid)
        statuses = Param(word(*STATUSES), many=True)
        query = read_query({"EvaluateTaskAttributes": Param(words()), "AssignmentStatus": statuses})
        name, value = _read_expression(query.get("EvaluateTaskAttributes"))
        wanted = query.get("AssignmentStatus", STATUSES)
        found = [task for task in self._memory.tasks.values() if task.status in wanted]
        if name:
            found = [task for task in found if _value(task.attributes, name) == value]
        return page("tasks", found, self._show, query)

    def fetch(self, workspace_sid: str, task_sid: str) -> Answer:
        return jsonify(self._show(self._task(workspace_sid, task_sid)))

    def update(self, workspace_sid: str, task_sid: str) -> Answer:
        task = self._task(workspace_sid, task_sid)
        form = read_form(UPDATE)
        if "AssignmentStatus" in form:
            task = self._rooms.settle(task, form["AssignmentStatus"], Actor("API"), form.get("Reason"))
        changes = {name.lower(): form[name] for name in ("Attributes", "Priority") if name in form}
        if changes:
            task = self._memory.change(self._memory.tasks, task, **changes)
        return jsonify(self._show(task))

    def _check(self, workspace_sid: str) -> None:
        if workspace_sid != self._settings.flex_workspace_sid:
            raise not_found()

    def _task(self, workspace_sid: str, task_sid: str) -> Task:
        self._check(workspace_sid)
        if task_sid not in self._memory.tasks:
            raise not_found()
        return self._memory.tasks[task_sid]

    def _show(self, task: Task) -> Json:
        url = own_url(TASKS.replace("<workspace_sid>", self._settings.flex_workspace_sid) + f"/{task.sid}")
        return {
            "sid": task.sid,
            "account_sid": self._settings.twilio_account_sid,
            "workspace_sid": self._settings.flex_workspace_sid,
            "workflow_sid": task.workflow_sid,
            "workflow_friendly_name": "Sandbox",
            "task_queue_sid": "WQ" + "0" * 32,
            "task_queue_friendly_name": "Everyone",
            "task_channel_sid": "TC" + "0" * 32,
            "task_channel_unique_name": task.channel,
            "assignment_status": task.status,
            "attributes": json.dumps(task.attributes),
            "addons": "{}",
            "age": int((datetime.now(UTC) - task.created).total_seconds()),
            "priority": task.priority,
            "timeout": task.timeout,
            "reason": task.reason,
            "ignore_capacity": False,
            "routing_target": None,
            "task_queue_entered_date": iso(task.created),
            "virtual_start_time": iso(task.created),
            "date_created": iso(task.created),
            "date_updated": iso(task.updated),
            "url": url,
            "links": {"reservations": f"{url}/Reservations"},
        }


def _read_expression(expression: str | None) -> tuple[str, str]:
    if expression is None:
        return "", ""
    found = EXPRESSION.fullmatch(expression)
    if not found:
        raise Refused("EvaluateTaskAttributes", 'must read: name == "value"')
    return found[1], found[2] if found[2] is not None else found[3]


def _value(attributes: Json, name: str) -> object:
    place: object = attributes
    for part in name.split("."):
        place = place.get(part) if isinstance(place, dict) else None
    return place
