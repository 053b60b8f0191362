"""Conversations, version 1: webhooks of the account and of the service, and addresses."""

from dataclasses import replace

from flask import jsonify

from app.sandbox.answers import Answer, Problem
from app.sandbox.checks import Json, Refused
from app.sandbox.flex.api import Api
from app.sandbox.flex.conversation_parts_api import FILTERS
from app.sandbox.flex.conversations_api import BASE, BASES, place
from app.sandbox.flex.records import Address
from app.sandbox.twilio.form import below, flag, params, sid, web_address, whole, word, words
from app.sandbox.twilio.records import Form, new_sid, now
from app.sandbox.twilio.rest import OfAccount, Routes, own_url, read_form

ADDRESSES = f"{BASE}/Configuration/Addresses"
TYPES = ("sms", "whatsapp", "messenger", "gbm", "email", "rcs", "apple", "chat")
METHOD = word("get", "post", any_case=True)
WEBHOOKS = (
    params(web_address, "PreWebhookUrl PostWebhookUrl")
    | params(word(*FILTERS), "Filters", many=True)
    | params(METHOD, "Method")
)
TARGET = params(word("webhook", "flex"), "Target")
UPDATE = (
    params(words(256), "FriendlyName")
    | params(flag, "AutoCreation.Enabled")
    | params(word("webhook", "studio", "default"), "AutoCreation.Type")
    | params(sid("IS"), "AutoCreation.ConversationServiceSid")
    | params(web_address, "AutoCreation.WebhookUrl")
    | params(METHOD, "AutoCreation.WebhookMethod")
    | params(word(*FILTERS), "AutoCreation.WebhookFilters", many=True)
    | params(sid("FW"), "AutoCreation.StudioFlowSid")
    | params(whole(0, 3), "AutoCreation.StudioRetryCount")
)
CREATE = (
    params(word(*TYPES), "Type", required=True)
    | params(words(), "Address", required=True)
    | params(words(2), "AddressCountry")
    | UPDATE
)
NEEDED = {"webhook": "AutoCreation.WebhookUrl", "studio": "AutoCreation.StudioFlowSid"}


class Addresses(Api, OfAccount):
    paths = (ADDRESSES,)
    name = "<path:name>"
    key = "address_configurations"
    query = params(word(*TYPES), "Type")

    def find(self, _: None, name: str) -> Address | None:
        """By its sid or by the address itself."""
        found = (one for one in self.memory.addresses.values() if name in (one.sid, one.form["Address"]))
        return next(found, None)

    def all(self, _: None, query: Form) -> list[Address]:
        return [one for one in self.memory.addresses.values() if query.get("Type") in (None, one.form["Type"])]

    def create(self, _: None) -> Address:
        form = read_form(CREATE)
        if any(form["Address"] == address.form["Address"] for address in self.memory.addresses.values()):
            raise Problem(409, f"Address {form['Address']} is configured already")
        return self._keep(Address(sid=new_sid("IG"), form=form))

    def update(self, address: Address) -> Address:
        return self._keep(replace(address, form=address.form | read_form(UPDATE), updated=now()))

    def delete(self, address: Address) -> None:
        self.memory.remove(self.memory.addresses, address)

    def _keep(self, address: Address) -> Address:
        name = NEEDED.get(address.form.get("AutoCreation.Type", ""))
        if name and not address.form.get(name):
            raise Refused(name, "is missing, this AutoCreation.Type needs it")
        return self.memory.put(self.memory.addresses, address)

    def show(self, address: Address) -> Json:
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


class ConfiguredWebhooks(Api):
    """One of the account and one of the service, each with its own path, so there is no list."""

    def add_others(self, routes: Routes) -> None:
        for base in BASES:
            routes.add("GET", f"{base}/Configuration/Webhooks", self._fetch)
            routes.add("POST", f"{base}/Configuration/Webhooks", self._update)

    def _fetch(self, service_sid: str | None = None) -> Answer:
        self.check_service(service_sid)
        return jsonify(self._show(service_sid))

    def _update(self, service_sid: str | None = None) -> Answer:
        self.check_service(service_sid)
        form = read_form(WEBHOOKS if service_sid else WEBHOOKS | TARGET)
        self.memory.configuration["service" if service_sid else "account"] |= form
        return jsonify(self._show(service_sid))

    def _show(self, service_sid: str | None) -> Json:
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


RESOURCES = (Addresses, ConfiguredWebhooks)
