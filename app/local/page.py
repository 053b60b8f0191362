"""The one page that `patchbay up` prints once everything answers."""

from __future__ import annotations

from collections.abc import Mapping

from app.config.schema import Settings, build_channel
from app.local.processes import HOST, Plan
from app.platforms.webchat import WebchatChannel

ANSWERED_WITHIN = 20  # seconds for which the command line waits for an answer


def page(plan: Plan, settings: Settings, environment: Mapping[str, str]) -> str:
    """Addresses, logins and a command to try; at most 20 lines."""
    channels = list(map(build_channel, settings.channels.values()))
    hooks = [channel for channel in channels if not isinstance(channel, WebchatChannel)]
    # the sandbox knows where its own go
    rows = [(f"Webhooks {hook.name}", f"{plan.address}/channels/{hook.name}") for hook in hooks if not plan.sandbox]
    chats = [channel for channel in channels if isinstance(channel, WebchatChannel)]
    rows += [(f"Chat {chat.name}", f"{plan.address}/chat/{chat.name}") for chat in chats]
    rows = [_start(plan), *rows, *_sandbox(plan)] if plan.sandbox else rows
    password = environment.get("PATCHBAY_FLOWER_PASSWORD")
    login = f"   (patchbay / {password})" if password else ""
    rows.append(("Flower", f"http://{HOST}:{plan.flower_port}{login}"))
    rows.append(("Data, logs", str(plan.data)))
    lines = ["", *(f"  {name:12} {value}" for name, value in rows), ""]
    if chats:
        lines += ["  Say something from the command line, and see the answer:", f"  {_curl(plan, chats[0])}", ""]
    return "\n".join([*lines, "  Ctrl-C stops everything and finishes the work in hand.", ""])


def _start(plan: Plan) -> tuple[str, str]:
    return "Start here", f"http://{HOST}:{plan.sandbox_port}/   (every door, and what to try first)"


def _sandbox(plan: Plan) -> list[tuple[str, str]]:
    base = f"http://{HOST}:{plan.sandbox_port}"
    return [
        ("Agent desk", f"{base}/agent   (respond.io)"),
        ("Flex desk", f"{base}/flex"),
        ("Phone", f"{base}/phone   (SMS, WhatsApp, Messenger)"),
        ("Application", f"{base}/application   (TwiML, answers Chat app)"),
    ]


def _curl(plan: Plan, chat: WebchatChannel) -> str:
    """Write as a new visitor, then wait for the first line of their chat that is not theirs."""
    login = f"-H 'Authorization: Bearer {chat.new_token()}'"
    body = '{"type":"message.created","data":{"id":"hello-1","content":{"type":"text","text":"Hello"}}}'
    write = f"curl -s {plan.address}/channels/{chat.name} {login} -H 'Content-Type: application/json' -d '{body}'"
    read = f"curl -sNm {ANSWERED_WITHIN} {plan.address}/chat/{chat.name}/events {login}"
    return f'{write}; echo; {read} | grep -m 1 \'"author":"[^c]\''
