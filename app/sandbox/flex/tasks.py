"""Tasks and interactions: how they come about, and how a task may move."""

import time
from dataclasses import replace
from typing import Any

from app.sandbox.answers import Problem
from app.sandbox.checks import Json
from app.sandbox.flex.memory import FlexMemory
from app.sandbox.flex.records import Interaction, Room, Task
from app.sandbox.settings import SandboxSettings
from app.sandbox.twilio.records import new_sid

MOVES = {
    "pending": ("canceled",),
    "reserved": ("canceled",),
    "assigned": ("wrapping", "completed"),
    "wrapping": ("completed",),
}
# An accepted interaction is set up after the answer; whoever looks too early sees `setup`.
SETUP_SECONDS = 0.2


class Tasks:
    def __init__(self, settings: SandboxSettings, memory: FlexMemory) -> None:
        self._settings = settings
        self._memory = memory

    def make(self, room: Room, attributes: Json, **more: Any) -> Task:
        task = Task(
            sid=new_sid("WT"),
            room_sid=room.sid,
            attributes=attributes,
            **({"workflow_sid": self._settings.flex_workflow_sid} | more),
        )
        return self._memory.put(self._memory.tasks, task)

    def make_for_channel(self, room: Room) -> Task:
        """The task of a Flex channel: what its maker said about it, and where to find it."""
        channel = self._memory.channels[room.sid]
        flow = self._memory.flows.get(channel.flow_sid)
        form = flow.form if flow else {}
        attributes: Json = {
            "name": channel.user_name,
            "channelType": form.get("ChannelType", "custom"),
            "customerAddress": channel.target or channel.identity,
            **channel.task_attributes,
            "channelSid": room.sid,
        }
        routing = {
            "workflow_sid": form.get("Integration.WorkflowSid"),
            "channel": form.get("Integration.Channel"),
            "priority": form.get("Integration.Priority"),
            "timeout": form.get("Integration.Timeout"),
        }
        task = self.make(room, attributes, **{key: value for key, value in routing.items() if value is not None})
        self._memory.put(self._memory.channels, replace(channel, task_sid=task.sid))
        return task

    def interact(self, room: Room, kind: str, routing: Json, **more: Any) -> Interaction:
        """An interaction around a conversation, with its task."""
        sid, channel_sid = new_sid("KD"), new_sid("UO")
        properties: Any = routing.get("properties", {})
        attributes: Json = {
            **(properties.get("attributes") or self._who(room, kind)),
            "conversationSid": room.sid,
            "flexInteractionSid": sid,
            "flexInteractionChannelSid": channel_sid,
        }
        chosen = {
            "workflow_sid": properties.get("workflow_sid"),
            "channel": properties.get("task_channel_unique_name"),
        }
        task = self.make(room, attributes, **{key: value for key, value in chosen.items() if value})
        interaction = Interaction(
            sid=sid, channel_sid=channel_sid, room_sid=room.sid, kind=kind, routing=routing, task_sid=task.sid, **more
        )
        return self._memory.put(self._memory.interactions, interaction)

    def move(self, task: Task, status: str, reason: str | None = None) -> Task:
        """As a REST call may; raises `Problem` for any other move."""
        if status not in MOVES.get(task.status, ()):
            raise Problem(400, f"AssignmentStatus: a task that is {task.status} cannot become {status}")
        return self._memory.change(self._memory.tasks, task, status=status, reason=reason or task.reason)

    def leave(self, task: Task, status: str) -> Task:
        """Out of the agents' hands: what nobody accepted is canceled, whatever was asked for."""
        wanted = "canceled" if task.status in ("pending", "reserved") else status
        return self.move(task, wanted) if wanted in MOVES.get(task.status, ()) else task

    def _who(self, room: Room, kind: str) -> Json:
        members = self._memory.members_of(room.sid)
        identity = members[0].identity if members else None
        return {"customerName": room.friendly_name or identity, "customerAddress": identity, "channelType": kind}


def channel_status(interaction: Interaction) -> str:
    if interaction.status:
        return interaction.status
    return "active" if time.monotonic() - interaction.started >= SETUP_SECONDS else "setup"
