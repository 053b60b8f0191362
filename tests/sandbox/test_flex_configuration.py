"""Webhooks of the account and the service, and addresses, with Twilio's SDK."""

import pytest

from .flex import ON, SERVICE, conversation, make_conversation
from .test_flex_rest import refused


def test_the_account_and_the_service_have_their_own(twilio):
    account = twilio.conversations.v1.configuration.webhooks()
    service = twilio.conversations.v1.services(SERVICE).configuration.webhooks()
    changed = account.update(post_webhook_url="https://a.test/", filters=["onMessageAdded"], target="flex")
    assert (changed.post_webhook_url, changed.filters, changed.target) == (
        "https://a.test/",
        ["onMessageAdded"],
        "flex",
    )
    assert account.update(method="GET").post_webhook_url == "https://a.test/"
    assert (account.fetch().method, service.fetch().post_webhook_url) == ("GET", None)
    assert service.update(post_webhook_url="https://b.test/").chat_service_sid == SERVICE
    assert (400, 20001) == refused(service.update, filters=["onEverything"])
    assert (404, 20404) == refused(twilio.conversations.v1.services("IS" + "0" * 32).configuration.webhooks().fetch)


@pytest.mark.parametrize("scope", ["account", "service"])
def test_they_fire_for_every_conversation(twilio, listener, scope):
    service = twilio.conversations.v1.services(SERVICE).configuration
    configuration = twilio.conversations.v1.configuration if scope == "account" else service
    configuration.webhooks().update(post_webhook_url=listener.url, filters=["onMessageAdded"], method="POST")
    room = conversation(twilio, make_conversation(twilio).sid)
    room.messages.create(body="Quiet")
    room.messages.create(body="Loud", **ON)
    room.update(state="closed", **ON)
    room.delete()
    assert [call.form["Body"] for call in listener.wait_for(1)] == ["Loud"]


def test_addresses_are_made_found_changed_and_deleted(twilio):
    addresses = twilio.conversations.v1.address_configurations
    made = addresses.create(
        type="messenger",
        address="messenger:1234",
        auto_creation_enabled=True,
        auto_creation_type="webhook",
        auto_creation_webhook_url="https://a.test/",
        auto_creation_webhook_filters=["onMessageAdded"],
    )
    addresses.create(type="chat", address="chat:1")
    assert [one.sid for one in addresses.list(type="messenger")] == [made.sid]
    assert len(addresses.list()) == 2
    assert made.auto_creation["webhook_filters"] == ["onMessageAdded"]
    assert addresses("messenger:1234").fetch().sid == made.sid
    assert made.update(friendly_name="Shop", auto_creation_enabled=False).auto_creation["enabled"] is False
    assert addresses(made.sid).fetch().friendly_name == "Shop"
    assert refused(addresses.create, type="chat", address="chat:1")[0] == 409
    assert made.delete()
    assert (404, 20404) == refused(made.fetch)


WRONG = {
    "unknown type": {"type": "fax", "address": "1"},
    "no address": {"type": "chat", "address": ""},
    "webhook without address": {"type": "chat", "address": "1", "auto_creation_type": "webhook"},
    "studio without flow": {"type": "chat", "address": "1", "auto_creation_type": "studio"},
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_an_address_that_does_not_fit_is_refused(twilio, arguments):
    assert (400, 20001) == refused(twilio.conversations.v1.address_configurations.create, **arguments)
