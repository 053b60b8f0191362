"""`patchbay up`: everything on one machine, supervised as one.

Processes are run by supervisord: it starts them in order, restarts what dies, and stops them in reverse order, so that
Redis is the last to go and work in hand is finished before.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import click
import orjson

from app.channels.webchat import WebchatChannel
from app.config import Settings, build_channel, load
from app.gateway import CONFIG_VARIABLE, check_redis
from app.parts import (
    DATA_VARIABLE,
    HOST,
    CannotStart,
    Plan,
    check_ports,
    data_folder,
    embedded_url,
    program,
    programs_of,
    write_supervisord_conf,
)

READY_WITHIN = 60.0  # seconds
# Where the sandbox stands in for Twilio's products.
TWILIO = {
    "flex": "flex-api",
    "chat": "chat",
    "conversations": "conversations",
    "media": "mcs",
    "taskrouter": "taskrouter",
    "messaging": "api",
}
APPLICATION = ("message", "fallback", "status")  # what its TwiML application is called for


def run(plan: Plan) -> int:
    """Start everything, print one page, wait for the end; the exit code.

    Raises:
        CannotStart: a port is taken or a piece is missing.
        ConfigError: the configuration is not valid, or its Redis would lose messages.
    """
    environment = _environment(plan)
    settings = load(Path(environment[CONFIG_VARIABLE]), environment)
    embedded = settings.gateway["redis_url"] == embedded_url(plan)
    if not embedded:
        check_redis(settings)
    programs = programs_of(plan, embedded)
    check_ports(plan, embedded)
    supervisor = program("supervisord", "install Patchbay with its extra `up`")
    with _only_one(plan):
        _remember(plan, environment)
        conf = write_supervisord_conf(plan, programs)
        command = [sys.executable, "-m", "app.lifeline", supervisor, "--configuration", str(conf), "--nodaemon"]
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        return _watch(plan, settings, process, environment)


@contextmanager
def _only_one(plan: Plan) -> Iterator[None]:
    """Hold the data folder: two servers on the same append-only file would spoil it. Raises: CannotStart."""
    with (plan.data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotStart(
                f"Patchbay already runs with its data in {plan.data}; stop it or set {DATA_VARIABLE}."
            ) from None
        yield


def _remember(plan: Plan, environment: Mapping[str, str]) -> None:
    """Keep what the parts are told, so that `patchbay lanes` and its like find them (see `remembered`)."""
    told = {name: value for name, value in environment.items() if name.startswith(("PATCHBAY_", "SANDBOX_"))}
    kept = plan.data / "environment.json"
    kept.touch(mode=0o600)
    kept.write_bytes(orjson.dumps(told))


def remembered() -> dict[str, str]:
    """What the last `patchbay up` in this folder told its parts; empty if there was none."""
    try:
        told: dict[str, str] = orjson.loads((data_folder() / "environment.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return told


def _watch(plan: Plan, settings: Settings, process: subprocess.Popen[bytes], environment: Mapping[str, str]) -> int:
    """Print the page once all answers, then pass the wish to stop on to the supervisor."""
    asked = threading.Event()

    def stop(*_: Any) -> None:
        if process.poll() is None and not asked.is_set():
            click.echo("Stopping; the work in hand is finished first ...")
            process.terminate()
        asked.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    ready = _ready(plan, process, asked)
    if asked.is_set():
        pass
    elif ready:
        click.echo(_page(plan, settings, environment))
    elif process.poll() is None:
        click.echo(f"Not ready after {READY_WITHIN:.0f} s. The last lines of the logs:\n{_tails(plan)}", err=True)
        process.terminate()
        process.wait()
        return 1
    else:
        click.echo(f"The supervisor ended at once; its log is {plan.data / 'log' / 'supervisord.log'}.", err=True)
        return process.returncode or 1
    code = process.wait()
    if asked.is_set():
        return 0
    click.echo(f"The supervisor ended; its log is {plan.data / 'log' / 'supervisord.log'}.", err=True)
    return code or 1


def _environment(plan: Plan) -> dict[str, str]:
    """What the parts are told by environment variables."""
    environment = dict(os.environ)
    plan.data.mkdir(parents=True, exist_ok=True)
    os.chmod(plan.data, 0o700)
    environment = _made_up_secrets(plan.data / "secrets.json") | environment  # an operator's own go before
    if plan.sandbox:
        sandbox = f"http://{HOST}:{plan.sandbox_port}"
        environment.setdefault("PATCHBAY_PUBLIC_URL", plan.address)
        environment |= {
            "SANDBOX_GATEWAY_URL": plan.address,
            "SANDBOX_PUBLIC_URL": sandbox,
            "SANDBOX_AUTOPILOT_URL": f"{sandbox}/autopilot",
            "SANDBOX_RESPONDIO_URL": f"{sandbox}/respondio/custom/channel/webhook/",
            **{f"SANDBOX_{product.upper()}_URL": f"{sandbox}/twilio/{path}" for product, path in TWILIO.items()},
            **{f"SANDBOX_APPLICATION_{what.upper()}_URL": f"{sandbox}/application/{what}" for what in APPLICATION},
        }
    default = resources.files("app.sandbox") / "patchbay.toml" if plan.sandbox else Path("patchbay.toml")
    environment[CONFIG_VARIABLE] = str(plan.config or environment.get(CONFIG_VARIABLE) or default)
    if plan.redis_url:
        environment |= {"PATCHBAY_REDIS_URL": plan.redis_url, "PATCHBAY_BROKER_URL": plan.redis_url}
    elif not environment.get("PATCHBAY_REDIS_URL") and not _names_redis(Path(environment[CONFIG_VARIABLE])):
        environment["PATCHBAY_REDIS_URL"] = embedded_url(plan)
    return environment


def _names_redis(config: Path) -> bool:
    """Whether the configuration chooses a Redis of its own."""
    try:
        return "redis_url" in tomllib.loads(config.read_text()).get("gateway", {})
    except (OSError, ValueError, AttributeError):
        return False  # `load` says what is wrong with the file


def _made_up_secrets(path: Path) -> dict[str, str]:
    """Credentials of the sandbox and of Flower, made once for this data folder."""
    kept: dict[str, str] = orjson.loads(path.read_bytes()) if path.exists() else {}
    made = {
        "SANDBOX_AUTOPILOT_ACCOUNT_SID": f"AC{secrets.token_hex(16)}",
        "SANDBOX_AUTOPILOT_ASSISTANT_SID": f"UA{secrets.token_hex(16)}",
        "SANDBOX_AUTOPILOT_AUTH_TOKEN": secrets.token_hex(16),
        "SANDBOX_RESPONDIO_CHANNEL_ID": f"ch_{secrets.token_hex(4)}",
        "SANDBOX_RESPONDIO_TOKEN": secrets.token_hex(16),
        "SANDBOX_TWILIO_ACCOUNT_SID": f"AC{secrets.token_hex(16)}",
        "SANDBOX_TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        "SANDBOX_FLEX_CHAT_SERVICE_SID": f"IS{secrets.token_hex(16)}",
        "SANDBOX_FLEX_WORKSPACE_SID": f"WS{secrets.token_hex(16)}",
        "SANDBOX_FLEX_WORKFLOW_SID": f"WW{secrets.token_hex(16)}",
        "SANDBOX_FLEX_FLOW_SID": f"FO{secrets.token_hex(16)}",
        "SANDBOX_APPLICATION_ACCOUNT_SID": f"AC{secrets.token_hex(16)}",
        "SANDBOX_APPLICATION_AUTH_TOKEN": secrets.token_hex(16),
        "SANDBOX_CHAT_SECRET": secrets.token_hex(24),
        "PATCHBAY_FLOWER_PASSWORD": secrets.token_hex(8),
        **kept,
    }
    path.touch(mode=0o600)
    path.write_bytes(orjson.dumps(made))
    return made


def _ready(plan: Plan, process: subprocess.Popen[bytes], asked: threading.Event) -> bool:
    """Whether the receiver and the sandbox answered in time, before somebody asked to stop."""
    urls = [f"{plan.address}/readyz"] + ([f"http://{HOST}:{plan.sandbox_port}/"] if plan.sandbox else [])
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until and process.poll() is None and not asked.is_set():
        if all(_answers(url) for url in urls):
            return True
        time.sleep(0.2)
    return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except OSError:
        return False


def _tails(plan: Plan, lines: int = 5) -> str:
    found = []
    for log in sorted((plan.data / "log").glob("*.log")):
        tail = log.read_text(errors="replace").splitlines()[-lines:]
        found += [f"{log.name}: {line}" for line in tail]
    return "\n".join(found)


def _page(plan: Plan, settings: Settings, environment: Mapping[str, str]) -> str:
    """The one page that a person reads after the start."""
    channels = list(map(build_channel, settings.channels.values()))
    hooks = [channel for channel in channels if not isinstance(channel, WebchatChannel)]
    # the sandbox knows where its own go
    rows = [(f"Webhooks {hook.name}", f"{plan.address}/channels/{hook.name}") for hook in hooks if not plan.sandbox]
    chats = [channel for channel in channels if isinstance(channel, WebchatChannel)]
    rows += [(f"Chat {chat.name}", f"{plan.address}/chat/{chat.name}") for chat in chats]
    if plan.sandbox:
        rows.append(("Agent desk", f"http://{HOST}:{plan.sandbox_port}/agent   (respond.io)"))
        rows.append(("Flex desk", f"http://{HOST}:{plan.sandbox_port}/flex"))
        rows.append(("Phone", f"http://{HOST}:{plan.sandbox_port}/phone   (SMS, WhatsApp, Messenger)"))
        rows.append(("Application", f"http://{HOST}:{plan.sandbox_port}/application   (TwiML, answers Chat app)"))
        rows.append(("Sandbox", f"http://{HOST}:{plan.sandbox_port}/"))
    password = environment.get("PATCHBAY_FLOWER_PASSWORD")
    login = f"   (patchbay / {password})" if password else ""
    rows.append(("Flower", f"http://{HOST}:{plan.flower_port}{login}"))
    rows.append(("Data, logs", str(plan.data)))
    lines = ["", *(f"  {name:12} {value}" for name, value in rows), ""]
    if chats:
        lines += ["  Say something from the command line:", f"  {_curl(plan, chats[0])}", ""]
    return "\n".join([*lines, "  Ctrl-C stops everything and finishes the work in hand.", ""])


def _curl(plan: Plan, chat: WebchatChannel) -> str:
    body = '{"type":"message.created","data":{"id":"hello-1","content":{"type":"text","text":"Hello"}}}'
    return (
        f"curl -s {plan.address}/channels/{chat.name} -H 'Authorization: Bearer {chat.new_token()}'"
        f" -H 'Content-Type: application/json' -d '{body}'"
    )
