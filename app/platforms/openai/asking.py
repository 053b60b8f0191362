"""What both forms of the API are told: the model, its part, and the tools by which it acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.platforms.openai.completion import REASON, REPLY

WHY = "What the customer wants, and what was tried so far."
END_WHEN = "End the conversation, if the customer wants nothing more."


def prompt(settings: Mapping[str, Any]) -> str:
    """The system prompt, with the rule about its form where the model acts by flags."""
    told: str = settings["system_prompt"].strip()
    rules = _flags(settings) if settings["handoff_by"] == "json" else ""
    return "\n\n".join(part for part in (told, rules) if part)


def tools(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The functions that the model may call, as their names, descriptions and parameters."""
    if settings["handoff_by"] == "json":
        return []
    found = []
    if settings["handoff_by"] == "tool":
        found.append(_tool(settings["handoff_tool"], settings["handoff_when"], {REASON: WHY}))
    if settings["end_tool"]:
        found.append(_tool(settings["end_tool"], END_WHEN, {}))
    return found


def _tool(name: str, when: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    properties = {key: {"type": "string", "description": what} for key, what in arguments.items()}
    parameters = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"name": name, "description": when, "parameters": parameters}


def _flags(settings: Mapping[str, Any]) -> str:
    flag, end = settings["handoff_tool"], settings["end_tool"]
    ends, when = (f', "{end}": false', f' "{end}": true means: {END_WHEN}') if end else ("", "")
    return (
        f'Answer with one object of JSON and nothing else: {{"{REPLY}": "what the customer reads", "{flag}": false, '
        f'"{REASON}": ""{ends}}}. "{flag}": true means: {settings["handoff_when"]} Say why in "{REASON}".{when}'
    )
