from dataclasses import fields

import pytest

from app.sandbox.settings import SandboxSettings, variable


def test_an_empty_environment_gives_usable_defaults():
    assert SandboxSettings() == SandboxSettings.from_env({})


def test_every_field_can_be_set_from_the_environment():
    values = {
        "gateway_url": "https://gateway.example.test/base/",
        "public_url": "https://sandbox.example.test/behind",
        "flower_url": "https://flower.example.test/behind",
        "chats": '{"shop": "The shop"}',
        "desk": "help",
        "autopilot_account_sid": "AC" + "0" * 32,
        "autopilot_auth_token": "t1",
        "autopilot_assistant_sid": "UA" + "1" * 32,
        "respondio_channel_id": "ch_9",
        "respondio_token": "t2",
        "respondio_id_type": "phone",
        "twilio_account_sid": "AC" + "2" * 32,
        "twilio_auth_token": "t3",
        "twilio_number": "+15550001111",
        "twilio_number_channel": "texts",
        "twilio_whatsapp": "whatsapp:+15550002222",
        "twilio_whatsapp_channel": "wa",
        "twilio_messenger": "messenger:333",
        "twilio_messenger_channel": "page",
        "twilio_messaging_service_sid": "MG" + "7" * 32,
        "twilio_overrides": "rc=3&rp=5xx,ct,rt",
        "flex_chat_service_sid": "IS" + "3" * 32,
        "flex_workspace_sid": "WS" + "4" * 32,
        "flex_workflow_sid": "WW" + "5" * 32,
        "flex_flow_sid": "FO" + "6" * 32,
        "flex_agent": "kim",
        "application_account_sid": "AC" + "8" * 32,
        "application_auth_token": "t4",
        "application_address": "+15550004444",
    }
    assert set(values) == {one.name for one in fields(SandboxSettings)}
    environment = {variable(name): value for name, value in values.items()}
    assert SandboxSettings(**values) == SandboxSettings.from_env(environment)


def test_outgoing_calls_go_to_the_desk():
    settings = SandboxSettings(gateway_url="http://127.0.0.1:8000/", desk="help")
    assert settings.outgoing_url == "http://127.0.0.1:8000/destinations/help/message"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SANDBOX_GATEWAY_URL", "gateway:8000"),
        ("SANDBOX_GATEWAY_URL", "http://user:word@127.0.0.1:8000"),
        ("SANDBOX_PUBLIC_URL", "sandbox:8001"),
        ("SANDBOX_PUBLIC_URL", "https://user:word@sandbox.example.test"),
        ("SANDBOX_PUBLIC_URL", "https://sandbox.example.test/?x"),
        ("SANDBOX_CHATS", "shop"),
        ("SANDBOX_CHATS", '["shop"]'),
        ("SANDBOX_CHATS", '{"shop": 1}'),
        ("SANDBOX_DESK", "a/b"),
        ("SANDBOX_AUTOPILOT_ACCOUNT_SID", "AC123"),
        ("SANDBOX_AUTOPILOT_ASSISTANT_SID", "AC" + "0" * 32),
        ("SANDBOX_RESPONDIO_TOKEN", "two words"),
        ("SANDBOX_RESPONDIO_ID_TYPE", "email"),
        ("SANDBOX_TWILIO_AUTH_TOKEN", "two words"),
        ("SANDBOX_TWILIO_NUMBER", "5551239998"),
        ("SANDBOX_TWILIO_NUMBER_CHANNEL", "a/b"),
        ("SANDBOX_TWILIO_WHATSAPP", "+15551239999"),
        ("SANDBOX_TWILIO_WHATSAPP_CHANNEL", "a b"),
        ("SANDBOX_TWILIO_MESSENGER", "messenger:page"),
        ("SANDBOX_TWILIO_MESSENGER_CHANNEL", "#"),
        ("SANDBOX_TWILIO_MESSAGING_SERVICE_SID", "MG0"),
        ("SANDBOX_TWILIO_OVERRIDES", "#rc=1"),
        ("SANDBOX_FLEX_CHAT_SERVICE_SID", "CH" + "0" * 32),
        ("SANDBOX_FLEX_WORKSPACE_SID", "WS0"),
        ("SANDBOX_FLEX_FLOW_SID", "FO0"),
        ("SANDBOX_APPLICATION_ACCOUNT_SID", "AC1"),
        ("SANDBOX_APPLICATION_AUTH_TOKEN", "two words"),
        ("SANDBOX_APPLICATION_ADDRESS", "5551239998"),
    ],
)
def test_a_value_that_does_not_fit_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        SandboxSettings.from_env({name: value})


def test_all_problems_are_named_at_once():
    with pytest.raises(ValueError, match=r"SANDBOX_DESK.*SANDBOX_RESPONDIO_ID_TYPE"):
        SandboxSettings.from_env({"SANDBOX_DESK": "/", "SANDBOX_RESPONDIO_ID_TYPE": "x"})


def test_tokens_are_not_printed():
    printed = repr(
        SandboxSettings(
            autopilot_auth_token="secret-1",
            respondio_token="secret-2",
            twilio_auth_token="secret-3",
            application_auth_token="secret-4",
        )
    )
    assert "secret" not in printed
