"""TaskRouter: the tasks of the Flex workspace."""

import json
import re
from datetime import UTC, datetime

from app.sandbox.checks import Json, Refused
from app.sandbox.flex.api import Api
from app.sandbox.flex.events import Actor
from app.sandbox.flex.records import Task
from app.sandbox.twilio.form import json_object, params, renamed, whole, word, words
from app.sandbox.twilio.records import Form, iso
from app.sandbox.twilio.rest import check_known, own_url, picked, read_form

TASKS = "/taskrouter/v1/Workspaces/<workspace_sid>/Tasks"
STATUSES = ("pending", "reserved", "assigned", "canceled", "completed", "wrapping")
UPDATE = (
    params(word(*STATUSES), "AssignmentStatus")
    | params(words(), "Reason")
    | params(json_object, "Attributes")
    | params(whole(), "Priority")
)
# One comparison is played; names may reach into objects with dots.
EXPRESSION = re.compile(r"""\s*([\w.]+)\s*==\s*(?:"([^"]*)"|'([^']*)')\s*""")


class TaskResources(Api):
    paths = (TASKS,)
    key = "tasks"
    query = params(words(), "EvaluateTaskAttributes") | params(word(*STATUSES), "AssignmentStatus", many=True)

    def owner(self, workspace_sid: str) -> None:
        check_known(workspace_sid, self.settings.flex_workspace_sid)

    def find(self, _: None, name: str) -> Task | None:
        return self.memory.tasks.get(name)

    def all(self, _: None, query: Form) -> list[Task]:
        name, value = _read_expression(query.get("EvaluateTaskAttributes"))
        wanted = query.get("AssignmentStatus", STATUSES)
        found = [task for task in self.memory.tasks.values() if task.status in wanted]
        return [task for task in found if _value(task.attributes, name) == value] if name else found

    def update(self, task: Task) -> Task:
        form = read_form(UPDATE)
        if "AssignmentStatus" in form:
            task = self.rooms.settle(task, form["AssignmentStatus"], Actor("API"), form.get("Reason"))
        changes = renamed(form, "Attributes Priority")
        return self.memory.change(self.memory.tasks, task, **changes) if changes else task

    def show(self, task: Task) -> Json:
        url = own_url(TASKS.replace("<workspace_sid>", self.settings.flex_workspace_sid) + f"/{task.sid}")
        return {
            **self.stamp(task),
            **picked(task, "workflow_sid priority timeout reason"),
            "workspace_sid": self.settings.flex_workspace_sid,
            "workflow_friendly_name": "Sandbox",
            "task_queue_sid": "WQ" + "0" * 32,
            "task_queue_friendly_name": "Everyone",
            "task_channel_sid": "TC" + "0" * 32,
            "task_channel_unique_name": task.channel,
            "assignment_status": task.status,
            "attributes": json.dumps(task.attributes),
            "addons": "{}",
            "age": int((datetime.now(UTC) - task.created).total_seconds()),
            "ignore_capacity": False,
            "routing_target": None,
            "task_queue_entered_date": iso(task.created),
            "virtual_start_time": iso(task.created),
            "url": url,
            "links": {"reservations": f"{url}/Reservations"},
        }


RESOURCES = (TaskResources,)


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
