"""The one page that `patchbay up` prints once everything answers."""

from __future__ import annotations

from collections.abc import Mapping

from app.config.schema import Settings, build_channel
from app.local.processes import HOST, Plan
from app.local.stand_ins import pages
from app.platforms.channel import HasChatPage

ANSWERED_WITHIN = 20  # seconds for which the command line waits for an answer


def page(plan: Plan, settings: Settings, environment: Mapping[str, str]) -> str:
    """Addresses, logins and a command to try; at most 20 lines."""
    chats = _chats(settings)
    hooks = [name for name in settings.channels if name not in chats]
    # the sandbox knows where its own go
    rows = [(f"Webhooks {hook}", f"{plan.address}/channels/{hook}") for hook in hooks if not plan.sandbox]
    rows += [(f"Chat {name}", f"{plan.address}/chat/{name}") for name in chats]
    sandbox = f"http://{HOST}:{plan.sandbox_port}"
    start = ("Start here", f"{sandbox}/   (every door, and what to try first)")
    rows = [start, *rows, *pages(sandbox, settings.hosts)] if plan.sandbox else rows
    password = environment.get("PATCHBAY_FLOWER_PASSWORD")
    login = f"   (patchbay / {password})" if password else ""
    rows.append(("Flower", f"http://{HOST}:{plan.flower_port}{login}"))
    rows.append(("Data, logs", str(plan.data)))
    lines = ["", *(f"  {name:12} {value}" for name, value in rows), ""]
    if chats:
        lines += [
            "  Say something from the command line, and see the answer:",
            f"  {_curl(plan, *next(iter(chats.items())))}",
            "",
        ]
    return "\n".join([*lines, "  Ctrl-C stops everything and finishes the work in hand.", ""])


def chat_titles(settings: Settings) -> dict[str, str]:
    """What stands above each chat, by the channel's name."""
    return {name: chat.title for name, chat in _chats(settings).items()}


def _chats(settings: Settings) -> dict[str, HasChatPage]:
    """The channels with a page to write on, by name."""
    channels = map(build_channel, settings.channels.values())
    return {channel.name: channel for channel in channels if isinstance(channel, HasChatPage)}


def _curl(plan: Plan, name: str, chat: HasChatPage) -> str:
    """Write as a new visitor, then wait for the first line of their chat that is not theirs."""
    login = f"-H 'Authorization: Bearer {chat.new_token()}'"
    body = '{"type":"message.created","data":{"id":"hello-1","content":{"type":"text","text":"Hello"}}}'
    write = f"curl -s {plan.address}/channels/{name} {login} -H 'Content-Type: application/json' -d '{body}'"
    read = f"curl -sNm {ANSWERED_WITHIN} {plan.address}/chat/{name}/events {login}"
    return f'{write}; echo; {read} | grep -m 1 \'"author":"[^c]\''
