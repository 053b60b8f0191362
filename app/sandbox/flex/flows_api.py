"""flex-api: FlexFlows, and the Flex channels that are made along them."""

import json
from dataclasses import replace

from app.sandbox.answers import Problem
from app.sandbox.checks import Json, Refused
from app.sandbox.flex.api import Api
from app.sandbox.flex.records import CHAT, FlexChannel, Flow, Room
from app.sandbox.flex.rooms import is_over
from app.sandbox.settings import SandboxSettings
from app.sandbox.twilio.form import Param, below, flag, json_object, params, sid, web_address, whole, word, words
from app.sandbox.twilio.records import Form, new_sid, now
from app.sandbox.twilio.rest import OfAccount, own_url, picked, read_form

FLOWS, CHANNELS = "/flex-api/v1/FlexFlows", "/flex-api/v1/Channels"
CHANNEL_TYPES = ("web", "sms", "facebook", "whatsapp", "line", "custom")
NEEDED = {
    "studio": ("Integration.FlowSid",),
    "external": ("Integration.Url",),
    "task": ("Integration.WorkspaceSid", "Integration.WorkflowSid", "Integration.Channel"),
}
CHANNEL = (
    params(sid("FO"), "FlexFlowSid", required=True)
    | params(words(), "Identity ChatUserFriendlyName ChatFriendlyName", required=True)
    | params(words(), "Target ChatUniqueName")
    | params(json_object, "PreEngagementData TaskAttributes")
    | params(sid("WT"), "TaskSid")
    | params(flag, "LongLived")
)


def flow_params(settings: SandboxSettings) -> dict[str, Param]:
    return (
        params(words(), "FriendlyName", required=True)
        | params(sid("IS", settings.flex_chat_service_sid), "ChatServiceSid", required=True)
        | params(word(*CHANNEL_TYPES), "ChannelType", required=True)
        | params(word(*NEEDED), "IntegrationType")
        | params(sid("FW"), "Integration.FlowSid")
        | params(web_address, "Integration.Url")
        | params(sid("WS", settings.flex_workspace_sid), "Integration.WorkspaceSid")
        | params(sid("WW"), "Integration.WorkflowSid")
        | params(words(), "ContactIdentity Integration.Channel")
        | params(whole(), "Integration.Timeout Integration.Priority")
        | params(whole(0, 3), "Integration.RetryCount")
        | params(flag, "Enabled LongLived JanitorEnabled Integration.CreationOnMessage")
    )


class Flows(Api, OfAccount):
    paths = (FLOWS,)
    key = "flex_flows"
    query = params(words(), "FriendlyName")

    def find(self, _: None, name: str) -> Flow | None:
        return self.memory.flows.get(name)

    def all(self, _: None, query: Form) -> list[Flow]:
        name = query.get("FriendlyName")
        return [flow for flow in self.memory.flows.values() if name in (None, flow.form["FriendlyName"])]

    def create(self, _: None) -> Flow:
        return self._keep(Flow(sid=new_sid("FO"), form=read_form(flow_params(self.settings))))

    def update(self, flow: Flow) -> Flow:
        params = {name: replace(param, required=False) for name, param in flow_params(self.settings).items()}
        return self._keep(replace(flow, form=flow.form | read_form(params), updated=now()))

    def delete(self, flow: Flow) -> None:
        self.memory.remove(self.memory.flows, flow)

    def _keep(self, flow: Flow) -> Flow:
        form = flow.form
        for name in NEEDED.get(form.get("IntegrationType", ""), ()):
            if not form.get(name):
                raise Refused(name, f"is missing, integration type {form['IntegrationType']} needs it")
        others = (other.form for other in self.memory.flows.values() if other.sid != flow.sid)
        if form.get("Enabled") and any(o.get("Enabled") and o["ChannelType"] == form["ChannelType"] for o in others):
            raise Problem(409, f"Enabled: another flow for channel type {form['ChannelType']} is enabled")
        return self.memory.put(self.memory.flows, flow)

    def show(self, flow: Flow) -> Json:
        form = flow.form
        return {
            **self.stamp(flow),
            "friendly_name": form["FriendlyName"],
            "chat_service_sid": form["ChatServiceSid"],
            "channel_type": form["ChannelType"],
            "contact_identity": form.get("ContactIdentity"),
            "enabled": form.get("Enabled", False),
            "integration_type": form.get("IntegrationType"),
            "integration": below(form, "Integration"),
            "long_lived": form.get("LongLived", False),
            "janitor_enabled": form.get("JanitorEnabled", False),
            "url": own_url(f"{FLOWS}/{flow.sid}"),
        }


class FlexChannels(Api, OfAccount):
    paths = (CHANNELS,)
    key = "flex_chat_channels"

    def find(self, _: None, name: str) -> FlexChannel | None:
        return self.memory.channels.get(name)

    def all(self, _: None, __: Form) -> list[FlexChannel]:
        return list(self.memory.channels.values())

    def delete(self, channel: FlexChannel) -> None:
        self.memory.remove_room(self.memory.rooms[channel.sid])

    def create(self, _: None) -> FlexChannel:
        """A chat channel with the customer in it; an open one with the same Target is answered again instead."""
        form = read_form(CHANNEL)
        flow = self.memory.flows.get(form["FlexFlowSid"])
        if flow is None:
            raise Refused("FlexFlowSid", f"{form['FlexFlowSid']} does not exist")
        return self._open_channel(form.get("Target")) or self._make_channel(flow, form)

    def _make_channel(self, flow: Flow, form: Form) -> FlexChannel:
        room = self.memory.put(self.memory.rooms, self._room(flow, form))
        self.rooms.join(room, form["Identity"])
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
        self.memory.put(self.memory.channels, channel)
        if flow.form.get("IntegrationType") == "task" and not room.starts:
            self.tasks.make_for_channel(room)
        return self.memory.channels[room.sid]

    def _room(self, flow: Flow, form: Form) -> Room:
        attributes = {
            "from": form.get("Target", form["Identity"]),
            "channel_type": flow.form["ChannelType"],
            "status": "ACTIVE",
            "long_lived": form.get("LongLived", flow.form.get("LongLived", False)),
        }
        if "PreEngagementData" in form:
            attributes["pre_engagement_data"] = form["PreEngagementData"]
        return Room(
            sid=new_sid("CH"),
            generation=CHAT,
            friendly_name=form["ChatFriendlyName"],
            unique_name=self._free_name(form.get("ChatUniqueName")),
            attributes=json.dumps(attributes),
            starts=_starts(flow),
        )

    def _open_channel(self, target: str | None) -> FlexChannel | None:
        same = (one for one in self.memory.channels.values() if target is not None and one.target == target)
        return next((channel for channel in same if not is_over(self.memory.rooms[channel.sid])), None)

    def _free_name(self, name: str | None) -> str | None:
        if name and any(room.unique_name == name for room in self.memory.rooms.values()):
            raise Problem(409, f"ChatUniqueName: a channel with the name {name} exists")
        return name

    def show(self, channel: FlexChannel) -> Json:
        shown = picked(channel, "user_sid task_sid")
        url = own_url(f"{CHANNELS}/{channel.sid}")
        return {**self.stamp(channel), **shown, "flex_flow_sid": channel.flow_sid, "url": url}


def _starts(flow: Flow) -> str:
    integration = flow.form.get("IntegrationType", "")
    waits = integration == "studio" or (integration == "task" and flow.form.get("Integration.CreationOnMessage"))
    return integration if waits else ""


RESOURCES = (Flows, FlexChannels)
