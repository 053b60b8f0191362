"""Interactions: how Flex routes a conversation to its people, and what it knows of that.

A conversation has one interaction. That has no name of ours, but its task names the conversation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.http import Http
from app.platforms.flex.attributes import task_attributes
from app.platforms.flex.settings import flex_url
from app.platforms.flex.steps import Opening
from app.platforms.flex.tasks import Tasks
from app.platforms.flex.threads import Handles
from app.platforms.flex.words import as_json, json_object
from app.platforms.twilio.account import Account, TwilioFailure

CLOSED, FAILED = "closed", "failed"
CONFLICT = 409


class Interactions:
    def __init__(self, settings: Mapping[str, Any], account: Account, tasks: Tasks) -> None:
        self._settings = settings
        self._account = account
        self._url = f"{flex_url(settings)}/v1/Interactions"
        self._tasks = tasks

    def begin(self, opening: Opening) -> None:
        """Step `interaction`: one that an earlier try made, or that our books have lost, is found again."""
        found = self.find(opening.handles, opening.http) if opening.uncertain else None
        if found is None:
            try:
                found = self._make(opening)
            except TwilioFailure as failure:
                if failure.status != CONFLICT:
                    raise
                found = self.find(opening.handles, opening.http) or {"interaction": "", "interaction_channel": ""}
        opening.stands(**found, seen=None)

    def find(self, handles: Handles, http: Http) -> dict[str, str] | None:
        """The handles of the conversation's interaction, as its task has them."""
        task = self._tasks.find(handles["chat"], http)
        if task is None:
            return None
        known = json_object(task.get("attributes")) or {}
        return {
            "interaction": str(known.get("flexInteractionSid") or ""),
            "interaction_channel": str(known.get("flexInteractionChannelSid") or ""),
        }

    def has_failed(self, handles: Handles, http: Http) -> bool:
        """Flex sets an interaction up after it answered, and that may fail."""
        channel = self._channel(handles)
        state = self._account.find(channel, http) if channel else None
        return state is not None and state.get("status") == FAILED

    def end(self, handles: Handles, http: Http) -> None:
        channel = self._channel(handles)
        state = self._account.find(channel, http) if channel else None
        if channel and state and state.get("status") not in (CLOSED, FAILED):
            form = {"Status": CLOSED, "Routing": as_json({"status": CLOSED})}
            self._account.call("POST", channel, http, form)

    def _channel(self, handles: Handles) -> str | None:
        if not handles.get("interaction") or not handles.get("interaction_channel"):
            return None
        return f"{self._url}/{handles['interaction']}/Channels/{handles['interaction_channel']}"

    def _make(self, opening: Opening) -> dict[str, str]:
        thread, routing = opening.handles["chat"], self._settings["routing"]
        attributes = task_attributes(
            opening.customer, self._settings, channelType="web", **{self._tasks.attribute: thread}
        )
        channel = {"type": "web", "initiated_by": "customer", "properties": {"media_channel_sid": thread}}
        properties = {
            "workspace_sid": routing["workspace_sid"],
            "workflow_sid": routing["workflow_sid"],
            "task_channel_unique_name": routing["task_channel"],
            "attributes": attributes,
        }
        form = {"Channel": as_json(channel), "Routing": as_json({"properties": properties})}
        made = self._account.call("POST", self._url, opening.http, form)
        return {"interaction": made["sid"], "interaction_channel": (made.get("channel") or {}).get("sid", "")}
