"""Conversations, version 1: webhooks of the account and of the service, and addresses."""

from dataclasses import replace
from typing import Any

from flask import jsonify

from app.sandbox.answers import Answer, Problem
from app.sandbox.checks import Json, Refused
from app.sandbox.flex.api import Api
from app.sandbox.flex.conversation_parts_api import FILTERS
from app.sandbox.flex.conversations_api import BASE, BASES, place
from app.sandbox.flex.records import Address
from app.sandbox.twilio.form import Param, below, flag, sid, web_address, whole, word, words
from app.sandbox.twilio.records import Form, new_sid, now
from app.sandbox.twilio.rest import Resource, Routes, own_url, read_form

ADDRESSES = f"{BASE}/Configuration/Addresses"
TYPES = ("sms", "whatsapp", "messenger", "gbm", "email", "rcs", "apple", "chat")
METHOD = Param(word("get", "post", any_case=True))
WEBHOOKS = {
    "PreWebhookUrl": Param(web_address),
    "PostWebhookUrl": Param(web_address),
    "Filters": Param(word(*FILTERS), many=True),
    "Method": METHOD,
}
TARGET = {"Target": Param(word("webhook", "flex"))}
UPDATE = {
    "FriendlyName": Param(words(256)),
    "AutoCreation.Enabled": Param(flag),
    "AutoCreation.Type": Param(word("webhook", "studio", "default")),
    "AutoCreation.ConversationServiceSid": Param(sid("IS")),
    "AutoCreation.WebhookUrl": Param(web_address),
    "AutoCreation.WebhookMethod": METHOD,
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
NEEDED = {"webhook": "AutoCreation.WebhookUrl", "studio": "AutoCreation.StudioFlowSid"}


class ConfigurationApi(Api):
    def register(self, routes: Routes) -> None:
        super().register(routes)
        for base in BASES:
            routes.add("GET", f"{base}/Configuration/Webhooks", self._fetch_webhooks)
            routes.add("POST", f"{base}/Configuration/Webhooks", self._update_webhooks)

    def resources(self) -> list[Resource[Any, Any]]:
        addresses = Resource(
            ADDRESSES,
            self.account,
            self._show,
            find=self._find,
            all=self._addresses,
            key="address_configurations",
            query={"Type": Param(word(*TYPES))},
            create=self._create,
            update=self._update,
            delete=lambda address: self.memory.remove(self.memory.addresses, address),
            name="<path:name>",
        )
        return [addresses]

    def _fetch_webhooks(self, service_sid: str | None = None) -> Answer:
        self.service(service_sid)
        return jsonify(self._show_webhooks(service_sid))

    def _update_webhooks(self, service_sid: str | None = None) -> Answer:
        self.service(service_sid)
        form = read_form(WEBHOOKS if service_sid else {**WEBHOOKS, **TARGET})
        self.memory.configuration["service" if service_sid else "account"] |= form
        return jsonify(self._show_webhooks(service_sid))

    def _create(self, _: None) -> Address:
        form = read_form(CREATE)
        if any(form["Address"] == address.form["Address"] for address in self.memory.addresses.values()):
            raise Problem(409, f"Address {form['Address']} is configured already")
        return self._keep(Address(sid=new_sid("IG"), form=form))

    def _addresses(self, _: None, query: Form) -> list[Address]:
        return [one for one in self.memory.addresses.values() if query.get("Type") in (None, one.form["Type"])]

    def _update(self, address: Address) -> Address:
        return self._keep(replace(address, form=address.form | read_form(UPDATE), updated=now()))

    def _find(self, _: None, name: str) -> Address | None:
        """By its sid or by the address itself."""
        found = (one for one in self.memory.addresses.values() if name in (one.sid, one.form["Address"]))
        return next(found, None)

    def _keep(self, address: Address) -> Address:
        name = NEEDED.get(address.form.get("AutoCreation.Type", ""))
        if name and not address.form.get(name):
            raise Refused(name, "is missing, this AutoCreation.Type needs it")
        return self.memory.put(self.memory.addresses, address)

    def _show_webhooks(self, service_sid: str | None) -> Json:
        form = self.memory.configuration["service" if service_sid else "account"]
        scope = {"chat_service_sid": service_sid} if service_sid else {"target": form.get("Target", "webhook")}
        return {
            "account_sid": self.settings.twilio_account_sid,
            "pre_webhook_url": form.get("PreWebhookUrl"),
            "post_webhook_url": form.get("PostWebhookUrl"),
            "filters": list(form.get("Filters", ())),
            "method": form.get("Method", "post").upper(),
            **scope,
            "url": own_url(f"{place()}/Configuration/Webhooks"),
        }

    def _show(self, address: Address) -> Json:
        form = address.form
        return {
            **self.stamp(address),
            "type": form["Type"],
            "address": form["Address"],
            "address_country": form.get("AddressCountry"),
            "friendly_name": form.get("FriendlyName"),
            "auto_creation": below(form, "AutoCreation"),
            "url": own_url(f"{ADDRESSES}/{address.sid}"),
        }
