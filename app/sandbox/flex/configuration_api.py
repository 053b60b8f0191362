"""Conversations, version 1: webhooks of the account and of the service, and addresses."""

from dataclasses import replace

from flask import jsonify

from app.sandbox.checks import Json, Refused
from app.sandbox.flex.conversation_parts_api import FILTERS
from app.sandbox.flex.conversations_api import BASES
from app.sandbox.flex.form import Param, flag, sid, web_address, whole, word, words
from app.sandbox.flex.memory import Memory
from app.sandbox.flex.records import Address, Form, iso, new_sid, now
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
from app.sandbox.settings import SandboxSettings

ADDRESSES = "/conversations/v1/Configuration/Addresses"
TYPES = ("sms", "whatsapp", "messenger", "gbm", "email", "rcs", "apple", "chat")
WEBHOOKS = {
    "PreWebhookUrl": Param(web_address),
    "PostWebhookUrl": Param(web_address),
    "Filters": Param(word(*FILTERS), many=True),
    "Method": Param(word("get", "post", any_case=True)),
}
TARGET = {"Target": Param(word("webhook", "flex"))}
AUTO_CREATION = {
    "AutoCreation.Enabled": "enabled",
    "AutoCreation.Type": "type",
    "AutoCreation.ConversationServiceSid": "conversation_service_sid",
    "AutoCreation.WebhookUrl": "webhook_url",
    "AutoCreation.WebhookMethod": "webhook_method",
    "AutoCreation.WebhookFilters": "webhook_filters",
    "AutoCreation.StudioFlowSid": "studio_flow_sid",
    "AutoCreation.StudioRetryCount": "studio_retry_count",
}
UPDATE = {
    "FriendlyName": Param(words(256)),
    "AutoCreation.Enabled": Param(flag),
    "AutoCreation.Type": Param(word("webhook", "studio", "default")),
    "AutoCreation.ConversationServiceSid": Param(sid("IS")),
    "AutoCreation.WebhookUrl": Param(web_address),
    "AutoCreation.WebhookMethod": Param(word("get", "post", any_case=True)),
    "AutoCreation.WebhookFilters": Param(word(*FILTERS), many=True),
    "AutoCreation.StudioFlowSid": Param(sid("FW")),
    "AutoCreation.StudioRetryCount": Param(whole(0, 3)),
}
CREATE = {
    "Type": Param(word(*TYPES), required=True),
    "Address": Param(words(), required=True),
    "AddressCountry": Param(words(2)),
    **UPDATE,
}


class ConfigurationApi:
    def __init__(self, settings: SandboxSettings, memory: Memory) -> None:
        self._settings = settings
        self._memory = memory

    def register(self, routes: Routes) -> None:
        for base in BASES:
            routes.add("GET", f"{base}/Configuration/Webhooks", self.fetch_webhooks)
            routes.add("POST", f"{base}/Configuration/Webhooks", self.update_webhooks)
        routes.add("POST", ADDRESSES, self.create_address)
        routes.add("GET", ADDRESSES, self.list_addresses)
        routes.add("GET", f"{ADDRESSES}/<path:name>", self.fetch_address)
        routes.add("POST", f"{ADDRESSES}/<path:name>", self.update_address)
        routes.add("DELETE", f"{ADDRESSES}/<path:name>", self.delete_address)

    def fetch_webhooks(self, service_sid: str | None = None) -> Answer:
        return jsonify(self._show_webhooks(self._scope(service_sid)))

    def update_webhooks(self, service_sid: str | None = None) -> Answer:
        scope = self._scope(service_sid)
        form = read_form(WEBHOOKS if service_sid else {**WEBHOOKS, **TARGET})
        self._memory.configuration[scope] = self._memory.configuration[scope] | form
        return jsonify(self._show_webhooks(scope))

    def create_address(self) -> Answer:
        form = read_form(CREATE)
        if any(form["Address"] == address.form["Address"] for address in self._memory.addresses.values()):
            raise Problem(409, f"Address {form['Address']} is configured already")
        address = Address(sid=new_sid("IG"), form=form)
        _check(address)
        return created(self._show(self._memory.put(self._memory.addresses, address)))

    def list_addresses(self) -> Answer:
        query = read_query({"Type": Param(word(*TYPES))})
        wanted = [one for one in self._memory.addresses.values() if query.get("Type") in (None, one.form["Type"])]
        return page("address_configurations", wanted, self._show, query)

    def fetch_address(self, name: str) -> Answer:
        return jsonify(self._show(self._address(name)))

    def update_address(self, name: str) -> Answer:
        address = self._address(name)
        changed = replace(address, form=address.form | read_form(UPDATE), updated=now())
        _check(changed)
        return jsonify(self._show(self._memory.put(self._memory.addresses, changed)))

    def delete_address(self, name: str) -> Answer:
        self._memory.remove(self._memory.addresses, self._address(name).sid)
        return deleted()

    def _scope(self, service_sid: str | None) -> str:
        if service_sid not in (None, self._settings.flex_chat_service_sid):
            raise not_found()
        return "service" if service_sid else "account"

    def _address(self, name: str) -> Address:
        """By its sid or by the address itself."""
        found = (one for one in self._memory.addresses.values() if name in (one.sid, one.form["Address"]))
        address = next(found, None)
        if address is None:
            raise not_found()
        return address

    def _show_webhooks(self, scope: str) -> Json:
        form: Form = self._memory.configuration[scope]
        shown: Json = {
            "account_sid": self._settings.twilio_account_sid,
            "pre_webhook_url": form.get("PreWebhookUrl"),
            "post_webhook_url": form.get("PostWebhookUrl"),
            "filters": list(form.get("Filters", ())),
            "method": form.get("Method", "post").upper(),
        }
        if scope == "account":
            url = own_url("/conversations/v1/Configuration/Webhooks")
            return shown | {"target": form.get("Target", "webhook"), "url": url}
        service = self._settings.flex_chat_service_sid
        url = own_url(f"/conversations/v1/Services/{service}/Configuration/Webhooks")
        return shown | {"chat_service_sid": service, "url": url}

    def _show(self, address: Address) -> Json:
        form = address.form
        return {
            "sid": address.sid,
            "account_sid": self._settings.twilio_account_sid,
            "type": form["Type"],
            "address": form["Address"],
            "address_country": form.get("AddressCountry"),
            "friendly_name": form.get("FriendlyName"),
            "auto_creation": {shown: form[name] for name, shown in AUTO_CREATION.items() if name in form},
            "date_created": iso(address.created),
            "date_updated": iso(address.updated),
            "url": own_url(f"{ADDRESSES}/{address.sid}"),
        }


def _check(address: Address) -> None:
    needed = {"webhook": "AutoCreation.WebhookUrl", "studio": "AutoCreation.StudioFlowSid"}
    name = needed.get(address.form.get("AutoCreation.Type", ""))
    if name and not address.form.get(name):
        raise Refused(name, "is missing, this AutoCreation.Type needs it")
