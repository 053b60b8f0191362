"""flex-api: FlexFlows, and the Flex channels that are made along them."""

import json
from dataclasses import replace

from flask import jsonify

from app.sandbox.checks import Json, Refused
from app.sandbox.flex.form import Param, flag, json_object, sid, web_address, whole, word, words
from app.sandbox.flex.memory import Memory
from app.sandbox.flex.records import CHAT, FlexChannel, Flow, Form, Room, iso, new_sid, now
from app.sandbox.flex.rest import (
    Answer,
    Problem,
    Routes,
    created,
    deleted,
    not_found,
    own_url,
    page,
    read_form,
    read_query,
)
from app.sandbox.flex.rooms import Rooms, is_over
from app.sandbox.flex.tasks import Tasks
from app.sandbox.settings import SandboxSettings

FLOWS, CHANNELS = "/flex-api/v1/FlexFlows", "/flex-api/v1/Channels"
CHANNEL_TYPES = ("web", "sms", "facebook", "whatsapp", "line", "custom")
NEEDED = {
    "studio": ("Integration.FlowSid",),
    "external": ("Integration.Url",),
    "task": ("Integration.WorkspaceSid", "Integration.WorkflowSid", "Integration.Channel"),
}
INTEGRATION = {
    "Integration.FlowSid": "flow_sid",
    "Integration.Url": "url",
    "Integration.WorkspaceSid": "workspace_sid",
    "Integration.WorkflowSid": "workflow_sid",
    "Integration.Channel": "channel",
    "Integration.Timeout": "timeout",
    "Integration.Priority": "priority",
    "Integration.CreationOnMessage": "creation_on_message",
    "Integration.RetryCount": "retry_count",
}
CHANNEL = {
    "FlexFlowSid": Param(sid("FO"), required=True),
    "Identity": Param(words(), required=True),
    "ChatUserFriendlyName": Param(words(), required=True),
    "ChatFriendlyName": Param(words(), required=True),
    "Target": Param(words()),
    "ChatUniqueName": Param(words()),
    "PreEngagementData": Param(json_object),
    "TaskSid": Param(sid("WT")),
    "TaskAttributes": Param(json_object),
    "LongLived": Param(flag),
}


def flow_params(settings: SandboxSettings) -> dict[str, Param]:
    return {
        "FriendlyName": Param(words(), required=True),
        "ChatServiceSid": Param(sid("IS", settings.flex_chat_service_sid), required=True),
        "ChannelType": Param(word(*CHANNEL_TYPES), required=True),
        "ContactIdentity": Param(words()),
        "Enabled": Param(flag),
        "IntegrationType": Param(word(*NEEDED)),
        "Integration.FlowSid": Param(sid("FW")),
        "Integration.Url": Param(web_address),
        "Integration.WorkspaceSid": Param(sid("WS", settings.flex_workspace_sid)),
        "Integration.WorkflowSid": Param(sid("WW")),
        "Integration.Channel": Param(words()),
        "Integration.Timeout": Param(whole()),
        "Integration.Priority": Param(whole()),
        "Integration.CreationOnMessage": Param(flag),
        "Integration.RetryCount": Param(whole(0, 3)),
        "LongLived": Param(flag),
        "JanitorEnabled": Param(flag),
    }


class FlowsApi:
    def __init__(self, settings: SandboxSettings, memory: Memory, rooms: Rooms, tasks: Tasks) -> None:
        self._settings = settings
        self._memory = memory
        self._rooms = rooms
        self._tasks = tasks
        self._create = flow_params(settings)
        self._update = {name: replace(param, required=False) for name, param in self._create.items()}

    def register(self, routes: Routes) -> None:
        routes.add("POST", FLOWS, self.create_flow)
        routes.add("GET", FLOWS, self.list_flows)
        routes.add("GET", f"{FLOWS}/<flow_sid>", self.fetch_flow)
        routes.add("POST", f"{FLOWS}/<flow_sid>", self.update_flow)
        routes.add("DELETE", f"{FLOWS}/<flow_sid>", self.delete_flow)
        routes.add("POST", CHANNELS, self.create_channel)
        routes.add("GET", CHANNELS, self.list_channels)
        routes.add("GET", f"{CHANNELS}/<channel_sid>", self.fetch_channel)
        routes.add("DELETE", f"{CHANNELS}/<channel_sid>", self.delete_channel)

    def create_flow(self) -> Answer:
        flow = Flow(sid=new_sid("FO"), form=read_form(self._create))
        self._check(flow)
        return created(self.show_flow(self._memory.put(self._memory.flows, flow)))

    def list_flows(self) -> Answer:
        query = read_query({"FriendlyName": Param(words())})
        name = query.get("FriendlyName")
        flows = [flow for flow in self._memory.flows.values() if name in (None, flow.form["FriendlyName"])]
        return page("flex_flows", flows, self.show_flow, query)

    def fetch_flow(self, flow_sid: str) -> Answer:
        return jsonify(self.show_flow(self._flow(flow_sid)))

    def update_flow(self, flow_sid: str) -> Answer:
        flow = self._flow(flow_sid)
        changed = replace(flow, form=flow.form | read_form(self._update), updated=now())
        self._check(changed)
        return jsonify(self.show_flow(self._memory.put(self._memory.flows, changed)))

    def delete_flow(self, flow_sid: str) -> Answer:
        self._memory.remove(self._memory.flows, self._flow(flow_sid).sid)
        return deleted()

    def create_channel(self) -> Answer:
        """A chat channel with the customer in it; an open one with the same Target is answered again instead."""
        form = read_form(CHANNEL)
        flow = self._memory.flows.get(form["FlexFlowSid"])
        if flow is None:
            raise Refused("FlexFlowSid", f"{form['FlexFlowSid']} does not exist")
        open_one = self._open_channel(form.get("Target"))
        channel = open_one or self._make_channel(flow, form)
        return created(self.show_channel(channel))

    def list_channels(self) -> Answer:
        query = read_query({})
        return page("flex_chat_channels", list(self._memory.channels.values()), self.show_channel, query)

    def fetch_channel(self, channel_sid: str) -> Answer:
        return jsonify(self.show_channel(self._channel(channel_sid)))

    def delete_channel(self, channel_sid: str) -> Answer:
        self._memory.remove_room(self._memory.rooms[self._channel(channel_sid).sid])
        return deleted()

    def _make_channel(self, flow: Flow, form: Form) -> FlexChannel:
        long_lived = form.get("LongLived", flow.form.get("LongLived", False))
        attributes = {
            "from": form.get("Target", form["Identity"]),
            "channel_type": flow.form["ChannelType"],
            "status": "ACTIVE",
            "long_lived": long_lived,
        }
        if "PreEngagementData" in form:
            attributes["pre_engagement_data"] = form["PreEngagementData"]
        room = Room(
            sid=new_sid("CH"),
            generation=CHAT,
            friendly_name=form["ChatFriendlyName"],
            unique_name=self._free_name(form.get("ChatUniqueName")),
            attributes=json.dumps(attributes),
            starts=_starts(flow),
        )
        self._memory.put(self._memory.rooms, room)
        self._rooms.join(room, form["Identity"])
        channel = FlexChannel(
            sid=room.sid,
            flow_sid=flow.sid,
            target=form.get("Target"),
            user_sid=new_sid("US"),
            identity=form["Identity"],
            user_name=form["ChatUserFriendlyName"],
            task_attributes=form.get("TaskAttributes", {}),
            task_sid=form.get("TaskSid"),
        )
        self._memory.put(self._memory.channels, channel)
        if flow.form.get("IntegrationType") == "task" and not room.starts:
            self._tasks.make_for_channel(room)
        return self._memory.channels[room.sid]

    def _open_channel(self, target: str | None) -> FlexChannel | None:
        same = (one for one in self._memory.channels.values() if target is not None and one.target == target)
        return next((channel for channel in same if not is_over(self._memory.rooms[channel.sid])), None)

    def _free_name(self, name: str | None) -> str | None:
        if name and any(room.unique_name == name for room in self._memory.rooms.values()):
            raise Problem(409, f"ChatUniqueName: a channel with the name {name} exists")
        return name

    def _check(self, flow: Flow) -> None:
        form = flow.form
        for name in NEEDED.get(form.get("IntegrationType", ""), ()):
            if not form.get(name):
                raise Refused(name, f"is missing, integration type {form['IntegrationType']} needs it")
        others = (other.form for other in self._memory.flows.values() if other.sid != flow.sid)
        if form.get("Enabled") and any(o.get("Enabled") and o["ChannelType"] == form["ChannelType"] for o in others):
            raise Problem(409, f"Enabled: another flow for channel type {form['ChannelType']} is enabled")

    def _flow(self, flow_sid: str) -> Flow:
        if flow_sid not in self._memory.flows:
            raise not_found()
        return self._memory.flows[flow_sid]

    def _channel(self, channel_sid: str) -> FlexChannel:
        if channel_sid not in self._memory.channels:
            raise not_found()
        return self._memory.channels[channel_sid]

    def show_flow(self, flow: Flow) -> Json:
        form = flow.form
        return {
            "sid": flow.sid,
            "account_sid": self._settings.twilio_account_sid,
            "date_created": iso(flow.created),
            "date_updated": iso(flow.updated),
            "friendly_name": form["FriendlyName"],
            "chat_service_sid": form["ChatServiceSid"],
            "channel_type": form["ChannelType"],
            "contact_identity": form.get("ContactIdentity"),
            "enabled": form.get("Enabled", False),
            "integration_type": form.get("IntegrationType"),
            "integration": {shown: form[name] for name, shown in INTEGRATION.items() if name in form},
            "long_lived": form.get("LongLived", False),
            "janitor_enabled": form.get("JanitorEnabled", False),
            "url": own_url(f"{FLOWS}/{flow.sid}"),
        }

    def show_channel(self, channel: FlexChannel) -> Json:
        return {
            "sid": channel.sid,
            "account_sid": self._settings.twilio_account_sid,
            "flex_flow_sid": channel.flow_sid,
            "user_sid": channel.user_sid,
            "task_sid": channel.task_sid,
            "date_created": iso(channel.created),
            "date_updated": iso(channel.updated),
            "url": own_url(f"{CHANNELS}/{channel.sid}"),
        }


def _starts(flow: Flow) -> str:
    integration = flow.form.get("IntegrationType", "")
    waits = integration == "studio" or (integration == "task" and flow.form.get("Integration.CreationOnMessage"))
    return integration if waits else ""
