"""Setting a project up: made once, then found and corrected."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http import Http
from app.platforms.flex.chat import FlexChatDestination
from app.platforms.flex.conversations import FlexConversationsDestination
from app.platforms.flex.provision import Project
from app.platforms.provision import Run
from app.platforms.twilio.account import Account
from tests.platforms.flex.generations import (
    CHAT,
    CHAT_VALUES,
    CONVERSATIONS,
    CONVERSATIONS_VALUES,
    FILTERS,
    INTERACTION,
    STUDIO,
    TASK,
)
from tests.platforms.flex.line import Line
from tests.platforms.flex.world import CALLBACK, addresses, built
from tests.sandbox.flex import SERVICE, STUDIO_FLOW, connect, seen
from tests.support.values import THOROUGH


def provision_chat(url: str, dry_run: bool = False, **changes: Any) -> tuple[dict[str, str], list[str]]:
    values = {**CHAT_VALUES, **addresses(CHAT.first, url), **changes}
    desk = built(FlexChatDestination, values)
    run = Run(Line(url), dry_run=dry_run)
    return desk.provision(run), run.calls


EXTERNAL = {"type": "external", "url": "https://shop.example.test/hook"}
FULL = {
    "timeout": 3_600, "priority": 2, "creation_on_message": True, "retry_count": 1,
}  # fmt: skip
INTEGRATIONS = {"task": {**TASK, **FULL}, "studio": {**STUDIO, **FULL}, "external": {**EXTERNAL, **FULL}, "least": TASK}


@pytest.mark.parametrize("integration", INTEGRATIONS.values(), ids=INTEGRATIONS)
def test_provisioning_makes_the_flow_and_a_second_run_changes_nothing(
    integration: dict[str, Any], flex_sandbox: str
) -> None:
    more = {"integration": integration, "long_lived": True, "janitor_enabled": True, "friendly_name": "Web & chat"}
    found, calls = provision_chat(flex_sandbox, **more)
    (flow,) = connect(flex_sandbox).flex_api.v1.flex_flow.list()
    assert {"flex_flow_sid": flow.sid} == found
    assert ("Web & chat", SERVICE, "custom", True, integration["type"], True, True) == (
        flow.friendly_name, flow.chat_service_sid, flow.channel_type, flow.enabled, flow.integration_type,
        flow.long_lived, flow.janitor_enabled,
    )  # fmt: skip
    assert {name: value for name, value in integration.items() if name != "type"} == flow.integration
    assert 1 == len(calls)
    assert (found, []) == provision_chat(flex_sandbox, **more)


def test_provisioning_corrects_what_differs_in_a_flow_and_nothing_else(flex_sandbox: str) -> None:
    found, _ = provision_chat(flex_sandbox)
    again, calls = provision_chat(flex_sandbox, integration={**TASK, "priority": 5}, janitor_enabled=True)
    assert found == again
    assert [
        f"POST {flex_sandbox}/twilio/flex-api/v1/FlexFlows/{found['flex_flow_sid']}\n"
        "    JanitorEnabled=true\n    Integration.Priority=5"
    ] == calls
    assert {"priority": 5}.items() <= connect(flex_sandbox).flex_api.v1.flex_flow.list()[0].integration.items()


def test_a_flow_of_another_type_or_name_is_left_alone(flex_sandbox: str) -> None:
    flows = connect(flex_sandbox).flex_api.v1.flex_flow
    others = [
        flows.create(friendly_name=name, chat_service_sid=SERVICE, channel_type=kind).sid
        for name, kind in (("Patchbay", "web"), ("Another", "custom"))
    ]
    found, _ = provision_chat(flex_sandbox)
    assert found["flex_flow_sid"] not in others
    assert 3 == len(flows.list())


def test_a_dry_run_makes_no_flow(flex_sandbox: str) -> None:
    found, calls = provision_chat(flex_sandbox, dry_run=True)
    assert ({"flex_flow_sid": ""}, 1, []) == (found, len(calls), seen(flex_sandbox)["flows"])


def provision_conversations(url: str, dry_run: bool = False, **changes: Any) -> tuple[list[str], list[str]]:
    """The calls that changed something, and the notes; the configuration wants no identifiers."""
    values = {**CONVERSATIONS_VALUES, "routing": STUDIO, **addresses(CONVERSATIONS.first, url), **changes}
    desk = built(FlexConversationsDestination, values)
    run = Run(Line(url), dry_run=dry_run)
    assert {} == desk.provision(run)
    return run.calls, run.notes


PROJECTS: dict[str, tuple[dict[str, Any], str]] = {
    "studio": ({}, "account"),
    "interactions": ({"routing": INTERACTION}, "account"),
    "a service": ({"chat_service_sid": SERVICE}, "service"),
}


@pytest.mark.parametrize(("changes", "scope"), PROJECTS.values(), ids=PROJECTS)
def test_provisioning_sets_the_webhook_and_the_address_and_a_second_run_changes_nothing(
    changes: dict[str, Any], scope: str, flex_sandbox: str
) -> None:
    calls, notes = provision_conversations(flex_sandbox, **changes)
    assert 2 == len(calls)
    conversations = connect(flex_sandbox).conversations.v1
    (address,) = conversations.address_configurations.list()
    assert ([f"The chat address is {address.sid}."], "chat", "patchbay", "Patchbay desk") == (
        notes, address.type, address.address, address.friendly_name,
    )  # fmt: skip
    by_flow = "routing" not in changes
    expected = {"enabled": by_flow} | ({"type": "studio", "studio_flow_sid": STUDIO_FLOW} if by_flow else {})
    assert expected == address.auto_creation
    hook = seen(flex_sandbox)["configuration"][scope]
    assert (f"{CALLBACK}/events", "post", ["onMessageAdded", "onConversationStateUpdated"]) == (
        hook["PostWebhookUrl"], hook.get("Method", "post").lower(), hook["Filters"],
    )  # fmt: skip
    assert ([], notes) == provision_conversations(flex_sandbox, **changes)


def test_provisioning_corrects_what_differs_and_nothing_else(flex_sandbox: str) -> None:
    _, notes = provision_conversations(flex_sandbox)
    (address,) = connect(flex_sandbox).conversations.v1.address_configurations.list()
    flow = "FW" + "8" * 32
    calls, again = provision_conversations(flex_sandbox, routing={**STUDIO, "flow_sid": flow}, webhook_filters=FILTERS)
    assert notes == again
    base = f"{flex_sandbox}/twilio/conversations/v1/Configuration"
    assert [
        f"POST {base}/Webhooks\n    " + "\n    ".join(f"Filters={event}" for event in FILTERS),
        f"POST {base}/Addresses/{address.sid}\n    AutoCreation.StudioFlowSid={flow}",
    ] == calls
    calls, _ = provision_conversations(flex_sandbox, address="another")
    assert 2 == len(connect(flex_sandbox).conversations.v1.address_configurations.list())
    assert 2 == len(calls)


def test_a_webhook_of_somebody_else_is_not_overwritten(flex_sandbox: str) -> None:
    connect(flex_sandbox).conversations.v1.configuration.webhooks().update(
        post_webhook_url="https://other.example.test/hook"
    )
    calls, notes = provision_conversations(flex_sandbox)
    assert (1, 1) == (len(calls), len(seen(flex_sandbox)["addresses"]))
    assert "https://other.example.test/hook and are left alone" in notes[0]
    assert connect(flex_sandbox).conversations.v1.configuration.webhooks().fetch().post_webhook_url.endswith("/hook")


def test_a_dry_run_makes_nothing(flex_sandbox: str) -> None:
    calls, notes = provision_conversations(flex_sandbox, dry_run=True)
    assert (2, []) == (len(calls), seen(flex_sandbox)["addresses"])
    assert ["The chat address is not made yet."] == notes
    assert seen(flex_sandbox)["configuration"] == {"account": {}, "service": {}}


# --- what is the same ---


ACCOUNT = Account(FlexChatDestination.Settings().load(CHAT_VALUES))


def is_same(found: Any, name: str, value: Any) -> bool:
    """Whether a dry run over a resource as it is found would change nothing."""
    run = Run(Http(), dry_run=True)
    Project(ACCOUNT, run).resource("https://flex.example.test/v1/Things", found, {name: value})
    return not run.calls


words = st.text(max_size=30)
scalars = st.booleans() | st.integers(0, 10**6) | words


@THOROUGH
@given(scalars, scalars, st.sampled_from(["FriendlyName", "Integration.FlowSid", "AutoCreation.StudioFlowSid"]))
def test_a_resource_differs_exactly_where_its_value_does(value: Any, other: Any, name: str) -> None:
    def shown(value: Any) -> Any:
        keys = {"FriendlyName": ["friendly_name"], "Integration.FlowSid": ["integration", "flow_sid"]}
        inner: Any = value
        for key in reversed(keys.get(name, ["auto_creation", "studio_flow_sid"])):
            inner = {key: inner}
        return inner

    assert is_same(shown(value), name, value)
    assert not is_same({}, name, value)
    assert not is_same(shown(None), name, value)
    if type(value) is type(other) and value != other:
        assert not is_same(shown(other), name, value)


@THOROUGH
@given(st.lists(words, max_size=4), st.lists(words, max_size=4))
def test_lists_are_the_same_in_any_order(value: list[str], other: list[str]) -> None:
    assert is_same({"filters": value[::-1]}, "Filters", value)
    assert (sorted(value) == sorted(other)) == is_same({"filters": other}, "Filters", value)


def test_truth_and_methods_are_written_in_several_ways() -> None:
    assert is_same({"enabled": "true"}, "Enabled", True)
    assert is_same({"method": "post"}, "Method", "POST")
    assert not is_same({"url": "https://a.example.test/Hook"}, "Url", "https://a.example.test/hook")
