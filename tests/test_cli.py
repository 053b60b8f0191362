"""The `patchbay` command, as an operator uses it on a running system."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from click.testing import CliRunner, Result

from app.cli import main
from app.cli.common import look_at_redis
from app.config.schema import Settings, check
from app.core.events import Webhook, Written
from app.core.message import Text
from app.gateway import Gateway
from app.inbox import Inbox, read
from app.parked import park
from tests.sandbox.flex import SERVICE, SETTINGS, STUDIO_FLOW, WORKFLOW, WORKSPACE, seen
from tests.support import toml
from tests.support.gateway import Clock, gateway, run_until_quiet, tables
from tests.support.processes import RedisServer, free_port
from tests.support.shop import message
from tests.support.sink import Told, sink

Run = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer) -> Path:
    path = tmp_path / "patchbay.toml"
    path.write_text(toml.dumps(tables()))
    monkeypatch.setenv("PATCHBAY_CONFIG", str(path))
    monkeypatch.setenv("PATCHBAY_REDIS_URL", redis_server.url)
    return path


@pytest.fixture
def run(config: Path) -> Run:
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


@pytest.fixture
def letter(redis_client: redis.Redis) -> tuple[Gateway, str]:
    """A gateway and the id of its one dead letter: a message that the bot refused."""
    with sink() as bot:
        bot.answers(Told(status=400, body=b"no such thing"))
        built = gateway(redis_client, bot_url=bot.url)
        inbox = Inbox(built)
        inbox.accept("shop", Written(Text("hello"), external_id="m-1", customer="webhook:ada"))
        built.publisher.publish(inbox.wakes)
        run_until_quiet(built)
    return built, built.store.dead_letters.newest()[0].id


def test_a_valid_configuration_is_counted(run: Run, config: Path) -> None:
    result = run("check-config", str(config))
    assert (0, f"{config} is valid: 2 channels, 2 destinations.\n") == (result.exit_code, result.stdout)


def test_every_problem_is_named_with_its_key(run: Run, tmp_path: Path) -> None:
    raw = tables(channels__shop={"destination": "nobody", "colour": "red"}, destinations__desk={"timeout": "soon"})
    broken = tmp_path / "broken.toml"
    broken.write_text(toml.dumps(raw))
    result = run("check-config", str(broken))
    assert 2 == result.exit_code
    keys = [line.partition(":")[0] for line in result.stderr.splitlines()]
    assert {"channels.shop.destination", "channels.shop.colour", "destinations.desk.timeout"} == set(keys)


def test_dead_letters_are_listed_and_shown(run: Run, letter: tuple[Gateway, str]) -> None:
    _, letter_id = letter
    listed = run("dead-letters", "list").stdout
    assert letter_id in listed
    assert "rejected: HTTP 400: no such thing" in listed
    shown = run("dead-letters", "show", letter_id).stdout
    assert "shop/webhook:ada" in shown
    assert "hello" in shown


def test_a_replayed_letter_waits_in_its_lane_again(run: Run, letter: tuple[Gateway, str]) -> None:
    built, letter_id = letter
    assert 0 == run("dead-letters", "replay", letter_id).exit_code
    assert "No dead letters." in run("dead-letters", "list").stdout
    waiting = next(line for line in run("lanes").stdout.splitlines() if line.startswith("inbound:helper"))
    assert "waiting      1" in waiting
    assert 1 == built.store.lanes.state("inbound:helper", 0).waiting


def test_discarded_letters_are_gone(run: Run, letter: tuple[Gateway, str]) -> None:
    assert 0 == run("dead-letters", "discard", letter[1]).exit_code
    assert "No dead letters." in run("dead-letters", "list").stdout


def test_where_nobody_can_be_asked_all_letters_are_discarded_only_with_yes(
    run: Run, letter: tuple[Gateway, str]
) -> None:
    refused = run("dead-letters", "discard", "all")
    assert 1 == refused.exit_code
    assert "Forget 1 dead letter, with its message, for good? There is nobody here to ask: add --yes." in refused.stderr
    assert letter[1] in run("dead-letters", "list").stdout
    assert f"{letter[1]} discarded\n" == run("dead-letters", "discard", "all", "--yes").stdout
    assert ("", 0) == (run("dead-letters", "discard", "all").stdout, run("dead-letters", "discard", "all").exit_code)


@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("", 1), ("y", 0)], ids=["no", "only return", "yes"])
def test_a_person_is_asked_before_all_letters_are_discarded(
    config: Path, letter: tuple[Gateway, str], answer: str, left: int
) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    command = [sys.executable, "-m", "app.cli", "dead-letters", "discard", "all"]
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=60, check=False)
    os.close(ours), os.close(theirs)
    assert "Forget 1 dead letter, with its message" in done.stdout
    assert (left, bool(left)) == (letter[0].store.dead_letters.count(), bool(done.returncode))


def test_what_others_wrote_cannot_speak_to_the_terminal(run: Run, redis_client: redis.Redis) -> None:
    store = gateway(redis_client).store
    evil = "\x1b[2J\x07 \u202egnp.exe\u2028 \x9b1m \r\nforged: line"
    escaped = "\\x1b[2J\\x07 \\u202egnp.exe\\u2028 \\x9b1m \\r\\nforged: line"
    webhook = Webhook("POST", "http://gw/channels/shop", f"/{evil}", {}, evil.encode())
    parked = park(gateway(redis_client), "shop", webhook, ValueError(evil))
    store.lanes.count(f"ignored:{evil}")
    redis_client.hset("{patchbay}:lane:inbound:helper", mapping={"paused_until": 2**52, "paused_why": evil})
    shown = [run("dead-letters", "list"), run("dead-letters", "show", parked), run("lanes")]
    for result in shown:
        assert escaped in result.stdout
        assert not any(line.startswith("forged") for line in result.stdout.splitlines())
        assert set(result.stdout) - {"\n"} == {one for one in result.stdout if one.isprintable()}


def test_neither_can_a_customers_name_for_themselves_or_a_platforms_reason(
    run: Run, config: Path, redis_client: redis.Redis
) -> None:
    evil, escaped = "ada\x1b[2J\r\nforged", "ada\\x1b[2J\\r\\nforged"
    config.write_text(toml.dumps(tables(**PRICES)))
    built = gateway(redis_client, **PRICES)
    accepted = Inbox(built).accept("shop", Written(Text("hello"), external_id="m-1", customer=f"webhook:{evil}"))
    built.store.consents.write(f"shop/webhook:{evil}", "out", f"opted_out: {evil}")
    for command in (["costs", "message", str(accepted.message_id)], ["consent", "show", "shop", f"webhook:{evil}"]):
        result = run(*command)
        assert (0, True, False) == (result.exit_code, escaped in result.stdout, "\x1b" in result.stdout)


def test_what_people_write_is_shown_as_it_is(run: Run, redis_client: redis.Redis) -> None:
    words = "Grüße, می\u200cکنم, 👩\u200d👧"
    webhook = Webhook("POST", "http://gw/channels/shop", "/channels/shop", {}, words.encode())
    parked = park(gateway(redis_client), "shop", webhook, ValueError("no"))
    assert words in run("dead-letters", "show", parked).stdout


@pytest.fixture
def evicting(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "evicting"
    folder.mkdir()
    server = RedisServer(folder, "no", "--maxmemory-policy", "allkeys-lru", "--appendonly", "no")
    server.start()
    yield server
    server.stop()


STARTS: dict[str, list[str]] = {
    "receiver": ["receiver", "--port", "1"],
    "worker": ["worker"],
    "everything": ["up", "--redis"],
}


@pytest.mark.parametrize("arguments", STARTS.values(), ids=STARTS)
def test_nothing_starts_on_a_redis_that_throws_messages_away(
    arguments: list[str], config: Path, evicting: RedisServer, tmp_path: Path
) -> None:
    more = [evicting.url] if arguments[0] == "up" else []
    environment = {**os.environ, "PATCHBAY_REDIS_URL": evicting.url, "PATCHBAY_DATA": str(tmp_path / "data")}
    command = [sys.executable, "-m", "app.cli", *arguments, *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert (2, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert done.stderr.startswith("gateway.redis_url: Redis throws messages away when its memory is full")


def test_a_redis_that_merely_worries_is_said(
    evicting: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATCHBAY_REDIS_URL", evicting.url)
    look_at_redis(check(tables(gateway__redis_checks={"eviction": "warn"}), os.environ))
    warned = capsys.readouterr().err.splitlines()
    assert [line.split(" ")[:3] for line in warned] == [["Warning:", "Redis", "throws"], ["Warning:", "Redis", "loses"]]


def test_everything_at_once_says_so_too_before_it_starts(config: Path, evicting: RedisServer, tmp_path: Path) -> None:
    config.write_text(toml.dumps(tables(gateway__redis_checks={"eviction": "warn"})))
    environment = {**os.environ, "PATCHBAY_DATA": str(tmp_path / "data")}
    with socket.create_server(("127.0.0.1", 0)) as taken:  # so that it gets no further
        command = [
            sys.executable,
            "-m",
            "app.cli",
            "up",
            "--redis",
            evicting.url,
            "--port",
            str(taken.getsockname()[1]),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    throws, loses, port = done.stderr.splitlines()
    assert (throws.split(" ")[:3], loses.split(" ")[:3]) == (
        ["Warning:", "Redis", "throws"],
        ["Warning:", "Redis", "loses"],
    )
    assert port.startswith("Port ")


def test_an_unknown_letter_is_one_clear_line(run: Run, letter: tuple[Gateway, str]) -> None:
    for verb in ("show", "replay", "discard"):
        result = run("dead-letters", verb, "nonesuch")
        assert (1, "Error: There is no dead letter nonesuch.\n") == (result.exit_code, result.stderr)


def test_what_was_dropped_and_cut_is_shown_beside_the_lanes(run: Run, redis_client: redis.Redis) -> None:
    built = gateway(redis_client)
    body = message("m-7", "ada", "Hi").replace("Ada Lovelace", "x" * 257).encode()
    read(built, "shop", Webhook("POST", "http://gw/channels/shop", "/channels/shop", {}, body))
    assert re.search(r"^cut:shop:name +1$", run("lanes").stdout, re.MULTILINE)


def test_half_a_character_that_lies_in_the_store_stops_no_command(
    run: Run, letter: tuple[Gateway, str], redis_client: redis.Redis
) -> None:
    built, letter_id = letter
    found = built.store.dead_letters.show(letter_id)
    assert found is not None
    key = "{patchbay}:m:" + found.message_id
    body = redis_client.hget(key, "body")
    for odd in (b"hello\\ud83d", b"hello\xed\xa0\xbd"):
        redis_client.hset(key, "body", str(body).encode().replace(b"hello", odd))
        shown = run("dead-letters", "show", letter_id)
        assert (0, True) == (shown.exit_code, "hello\ufffd" in shown.stdout)


def test_a_parked_webhook_is_received_again(run: Run, redis_client: redis.Redis) -> None:
    built = gateway(redis_client)
    body = message("m-7", "ada", "parked words").encode()
    headers = {"authorization": "Bearer something-secret"}
    webhook = Webhook("POST", "http://gw/channels/shop?token=abc", "/channels/shop", headers, body)
    letter_id = park(built, "shop", webhook, KeyError("oops"))
    shown = run("dead-letters", "show", letter_id).stdout
    assert "parked words" in shown
    assert "something-secret" not in shown
    assert "abc" not in shown
    assert 0 == run("dead-letters", "replay", letter_id).exit_code
    assert 1 == built.store.lanes.state("inbound:helper", 0).waiting
    assert [] == built.store.dead_letters.newest()


def test_a_letter_that_cannot_be_replayed_is_kept_and_holds_back_no_other(
    run: Run, letter: tuple[Gateway, str], redis_client: redis.Redis
) -> None:
    webhook = Webhook("POST", "http://gw/channels/gone", "/channels/gone", {}, b"{}")
    kept = park(gateway(redis_client), "gone", webhook, KeyError("oops"))
    result = run("dead-letters", "replay", kept, letter[1])
    assert (1, f"{letter[1]} replayed\n") == (result.exit_code, result.stdout)
    assert f"{kept} is kept: gone is no longer configured.\n" == result.stderr
    assert [kept] == [one.id for one in letter[0].store.dead_letters.newest()]


def test_redis_out_of_reach_is_one_clear_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHBAY_REDIS_URL", "redis://127.0.0.1:1/0")
    result = run("lanes")
    assert 1 == result.exit_code
    assert 1 == len(result.stderr.splitlines())


def test_a_worker_for_no_lane_is_refused(run: Run) -> None:
    result = run("worker", "--lanes", "inbound:nobody")
    assert 2 == result.exit_code
    assert "--lanes: Matches none of: " in result.stderr


@pytest.mark.parametrize(("threads", "said"), [("8", "adds up to 12"), ("12", "")])
def test_a_worker_with_fewer_threads_than_its_lanes_may_use_says_so(
    run: Run, config: Path, monkeypatch: pytest.MonkeyPatch, threads: str, said: str
) -> None:
    begun: list[str] = []
    monkeypatch.setattr("runpy.run_module", lambda name, **options: begun.extend(sys.argv))
    monkeypatch.setattr("app.cli.running.look_at_redis", lambda settings: None)
    monkeypatch.setattr(sys, "argv", ["patchbay"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PATCHBAY_CONFIG", str(config))
    config.write_text(toml.dumps(tables(destinations__desk={"concurrency": 6})))
    result = run("worker", "--lanes", "*:desk", "--threads", threads)
    assert result.exit_code == 0
    assert said in result.stderr
    assert ("Warning" in result.stderr) is bool(said)
    assert begun[begun.index("--concurrency") + 1] == threads


def test_an_unverified_channel_is_refused_off_loopback(run: Run, config: Path) -> None:
    config.write_text(toml.dumps(tables(channels__shop={"verification": "none", "secrets": []})))
    result = run("receiver", "--host", "0.0.0.0")
    assert 2 == result.exit_code
    assert "channels.shop.verification: May not be none on 0.0.0.0." in result.stderr


def test_a_spool_that_cannot_be_used_is_refused(run: Run, config: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config.write_text(toml.dumps(tables(gateway={"spool": str(tmp_path / "file")})))
    result = run("receiver", "--port", str(free_port()))
    assert 2 == result.exit_code
    assert f"gateway.spool: {tmp_path / 'file'} cannot be used: File exists." in result.stderr


def test_a_spool_has_an_absolute_path(run: Run, config: Path) -> None:
    config.write_text(toml.dumps(tables(gateway={"spool": "spool"})))
    assert "gateway.spool: Must be an absolute path, or empty." in run("check-config", str(config)).stderr


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where the sandbox would have been served."""
    places: list[tuple[str, int]] = []
    monkeypatch.setattr("app.cli.running.claim", lambda host, port, what: host)  # no test's names are looked up
    monkeypatch.setattr("app.sandbox.serve", lambda host, port: places.append((host, port)))
    return places


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "sandbox.example", "127.0.0.1.example", "0"])
def test_the_sandbox_is_opened_to_a_network_by_an_option_alone(run: Run, served: list[Any], host: str) -> None:
    result = run("sandbox", "--host", host)
    assert (2, []) == (result.exit_code, served)
    assert result.stderr.startswith(
        "--host: The sandbox asks for no login: whoever reaches it reads every conversation"
    )
    assert "--open-to-network" in result.stderr
    assert 0 == run("sandbox", "--host", host, "--open-to-network").exit_code
    assert [(host, 8001)] == served


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_on_loopback_the_sandbox_needs_no_option(run: Run, served: list[Any], host: str) -> None:
    assert 0 == run("sandbox", "--host", host, "--port", "9001").exit_code
    assert [(host, 9001)] == served


def test_tables_of_the_tests_are_what_the_file_says(config: Path) -> None:
    def values(settings: Settings) -> Any:
        return {**settings.channels, **settings.destinations}

    assert values(check(tables(), {})) == values(check(tomllib.loads(config.read_text()), {}))


# --- costs ---

PRICES: dict[str, Any] = {"costs": {"currency": "USD"}, "costs__channels__shop": {"inbound": "0.0185", "outbound": 2}}


@pytest.fixture
def spent(config: Path, redis_client: redis.Redis) -> str:
    """A message of a customer that cost something, and one on another channel years ago; the first one's id."""
    prices = {**PRICES, "costs__channels__chat": {"inbound": "0.1"}, "costs__destinations__helper": {"turn": 10}}
    config.write_text(toml.dumps(tables(**prices)))
    years_ago = Inbox(gateway(redis_client, Clock(1_600_000_000_000), **prices))  # 2020-09-13
    years_ago.accept("chat", Written(Text("hello"), external_id="m-0", customer="webchat:ben"))
    accepted = Inbox(gateway(redis_client, **prices)).accept(
        "shop", Written(Text("hello"), external_id="m-1", customer="webhook:ada")
    )
    assert accepted.message_id
    return accepted.message_id


def lines(result: Result) -> list[str]:
    assert (0, "") == (result.exit_code, result.stderr)
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_costs_of_the_last_days(run: Run, spent: str) -> None:
    period, head, row, total = lines(run("costs"))
    first, last = map(date.fromisoformat, re.findall(r"[0-9-]{10}", period))
    assert (29, True) == ((last - first).days, period.endswith("in USD"))
    assert "date channel inbound outbound template turns total" == head
    assert f"{last} shop 0.0185 0 0 0 0.0185" == row
    assert "total 0.0185 0 0 0 0.0185" == total


SUMS: dict[str, tuple[list[str], list[str]]] = {
    "of days long ago": (["--to", "2020-09-13"], ["2020-09-13 chat 0.1 0 0 0 0.1", "total 0.1 0 0 0 0.1"]),
    "of days with nothing": (["--from", "2020-09-01", "--to", "2020-09-12"], ["total 0 0 0 0 0"]),
    "of another channel": (["--to", "2020-09-13", "--channel", "shop"], ["total 0 0 0 0 0"]),
    "by channel": (["--to", "2020-09-13", "--by", "channel"], ["chat 0.1 0 0 0 0.1", "total 0.1 0 0 0 0.1"]),
    "by day": (["--to", "2020-09-13", "--by", "day"], ["2020-09-13 0.1 0 0 0 0.1", "total 0.1 0 0 0 0.1"]),
}


@pytest.mark.parametrize(("options", "rows"), SUMS.values(), ids=SUMS)
def test_sums_of_costs(options: list[str], rows: list[str], run: Run, spent: str) -> None:
    assert rows == lines(run("costs", *options))[2:]


def test_the_columns_of_costs_stand_below_each_other(run: Run, spent: str) -> None:
    assert 1 == len({len(line) for line in run("costs").stdout.splitlines()[1:]})


def test_costs_of_one_message_and_of_one_conversation(run: Run, spent: str, redis_client: redis.Redis) -> None:
    message = lines(run("costs", "message", spent))
    assert ["conversation shop/webhook:ada", "message 0.0185 (by the price table)", "turns 0", "total 0.0185 USD"] == [
        line for line in message if not line.startswith("date 20")
    ]
    gateway(redis_client, **PRICES).store.costs.reported(spent, 1)
    assert "message 0.000000001 (reported by its platform)" in lines(run("costs", "message", spent))
    for customer in ("webchat:ben", "WebChat:ben"):
        conversation = lines(run("costs", "conversation", "chat", customer))
        assert ["inbound 0.1", "outbound 0", "template 0", "turns 0", "total 0.1", "currency USD"] == conversation


NO_COSTS = {
    "a day that is none": (["--from", "yesterday"], 2, "--from: Must be a day as YYYY-MM-DD.\n"),
    "an unknown channel": (["--channel", "fax"], 2, "--channel: There is no channel fax.\n"),
    "an unknown message": (["message", "nobody"], 1, "Error: There is no message nobody (any more).\n"),
    "an unknown customer": (
        ["conversation", "shop", "webhook:x"],
        1,
        "Error: Nothing is booked for webhook:x on shop (any more).\n",
    ),
}


@pytest.mark.parametrize(("arguments", "code", "sentence"), NO_COSTS.values(), ids=NO_COSTS)
def test_costs_that_there_are_not_are_one_clear_line(
    arguments: list[str], code: int, sentence: str, run: Run, spent: str
) -> None:
    result = run("costs", *arguments)
    assert (code, sentence) == (result.exit_code, result.stderr)


@pytest.mark.parametrize("arguments", [[], ["message", "x"], ["conversation", "shop", "x"]], ids=" ".join)
def test_without_prices_nothing_is_booked(arguments: list[str], run: Run) -> None:
    result = run("costs", *arguments)
    assert (1, "Error: Nothing is booked: the configuration has no table costs.\n") == (result.exit_code, result.stderr)


# --- Flex projects ---

CHAT = {
    "type": "flex_chat",
    "account_sid": SETTINGS.twilio_account_sid,
    "auth_tokens": [SETTINGS.twilio_auth_token],
    "chat_service_sid": SERVICE,
    "integration": {"type": "task", "workspace_sid": WORKSPACE, "workflow_sid": WORKFLOW, "channel": "chat"},
}
CONVERSATIONS = {
    "type": "flex_conversations",
    "account_sid": SETTINGS.twilio_account_sid,
    "auth_tokens": [SETTINGS.twilio_auth_token],
    "routing": {"type": "studio", "flow_sid": STUDIO_FLOW},
}


@pytest.fixture
def flex(config: Path, flex_sandbox: str) -> Callable[..., None]:
    """Writes a configuration whose people are in the sandbox's Flex."""

    def write(values: dict[str, Any], **changes: Any) -> None:
        product = "chat" if values["type"] == "flex_chat" else "conversations"
        urls = {"flex_url": "flex-api", "media_url": "mcs", "taskrouter_url": "taskrouter", f"{product}_url": product}
        people = {**values, **{key: f"{flex_sandbox}/twilio/{name}" for key, name in urls.items()}, **changes}
        config.write_text(toml.dumps(tables(destinations__people=people, channels__shop={"handoff": "people"})))

    return write


def flows(url: str) -> list[Any]:
    return list(seen(url)["flows"])


def test_provisioning_prints_what_the_configuration_wants(
    run: Run, flex: Callable[..., None], flex_sandbox: str
) -> None:
    flex(CHAT)
    first = run("flex", "provision", "people")
    assert (0, "") == (first.exit_code, first.stderr)
    (flow,) = flows(flex_sandbox)
    assert {"destinations": {"people": {"flex_flow_sid": flow["sid"]}}} == tomllib.loads(printed(first))
    assert f"POST {flex_sandbox}/twilio/flex-api/v1/FlexFlows\n    FriendlyName=Patchbay\n" in first.stdout
    assert SETTINGS.twilio_auth_token not in first.stdout
    again = run("flex", "provision", "people")
    assert again.stdout.startswith("Nothing to change.\n")
    assert printed(first) == printed(again)
    assert [flow] == flows(flex_sandbox)


def printed(result: Result) -> str:
    """The configuration at the end of the output."""
    return result.stdout[result.stdout.index("[destinations.") :]


def test_provisioning_conversations(run: Run, flex: Callable[..., None], config: Path, flex_sandbox: str) -> None:
    flex(CONVERSATIONS)
    first = run("flex", "provision", "people")
    (address,) = seen(flex_sandbox)["addresses"]
    note = f"The chat address is {address['sid']}.\n"
    assert (0, True) == (first.exit_code, first.stdout.endswith(note))
    assert "[destinations" not in first.stdout  # the configuration wants none of it
    assert f"Nothing to change.\n{note}" == run("flex", "provision", "people").stdout
    assert run("check-config", str(config)).exit_code == 0


def test_a_dry_run_for_conversations_has_no_address_to_tell(run: Run, flex: Callable[..., None]) -> None:
    flex(CONVERSATIONS)
    assert run("flex", "provision", "people", "--dry-run").stdout.endswith("The chat address is not made yet.\n")


def test_a_dry_run_shows_the_calls_and_makes_none(run: Run, flex: Callable[..., None], flex_sandbox: str) -> None:
    flex(CHAT)
    result = run("flex", "provision", "people", "--dry-run")
    assert (0, []) == (result.exit_code, flows(flex_sandbox))
    assert result.stdout.startswith(f"would POST {flex_sandbox}/twilio/flex-api/v1/FlexFlows\n")
    assert "flex_flow_sid = # known after the run" in result.stdout
    run("flex", "provision", "people")
    flex(CHAT, janitor_enabled=True)
    result = run("flex", "provision", "people", "--dry-run")
    assert "    JanitorEnabled=true\n" in result.stdout
    assert f'flex_flow_sid = "{flows(flex_sandbox)[0]["sid"]}"' in result.stdout
    assert (
        "JanitorEnabled" not in flows(flex_sandbox)[0]["form"] or not flows(flex_sandbox)[0]["form"]["JanitorEnabled"]
    )


def test_only_provisioning_does_without_the_flows_sid(run: Run, flex: Callable[..., None], config: Path) -> None:
    flex(CHAT)
    for command in (["check-config", str(config)], ["dead-letters", "replay", "all"], ["worker"]):
        result = run(*command)
        assert (2, "destinations.people.flex_flow_sid: Missing data for required field.\n") == (
            result.exit_code,
            result.stderr,
        )
    flex(CHAT, flex_flow_sid="FO1")
    result = run("flex", "provision", "people")
    assert (2, "destinations.people.flex_flow_sid: Must be FO and 32 hex digits.\n") == (
        result.exit_code,
        result.stderr,
    )


def test_provisioning_does_without_an_environment_that_is_to_hold_the_flows_sid(
    run: Run, flex: Callable[..., None], config: Path, flex_sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flex(CHAT, flex_flow_sid="env:FLEX_FLOW_SID")
    for unset in (None, ""):
        monkeypatch.delenv("FLEX_FLOW_SID", raising=False)
        if unset is not None:
            monkeypatch.setenv("FLEX_FLOW_SID", unset)
        result = run("flex", "provision", "people")
        assert (0, "") == (result.exit_code, result.stderr)
        assert 2 == run("check-config", str(config)).exit_code
    (flow,) = flows(flex_sandbox)
    assert {"destinations": {"people": {"flex_flow_sid": flow["sid"]}}} == tomllib.loads(printed(result))
    monkeypatch.setenv("FLEX_FLOW_SID", flow["sid"])
    assert 0 == run("check-config", str(config)).exit_code
    monkeypatch.setenv("FLEX_FLOW_SID", "FO1")
    assert 2 == run("flex", "provision", "people").exit_code


MADE = {"flex_flow_sid": "FO" + "6" * 32}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a wrong token": (
        {"auth_tokens": ["another-twilio-token"]},
        "people",
        "Twilio did not do it: HTTP 401: 20003 Authenticate",
    ),
    "nobody there": (
        {"flex_url": "http://127.0.0.1:1"},
        "people",
        "Twilio did not do it: no connection",
    ),
    "an unknown destination": (MADE, "nobody", "There is no destination nobody."),
    "no Flex destination": (MADE, "desk", "desk is no Flex destination."),
    "a channel": (MADE, "shop", "There is no destination shop."),
}


@pytest.mark.parametrize(("changes", "name", "sentence"), REFUSED.values(), ids=REFUSED)
def test_provisioning_that_cannot_be_is_one_clear_line(
    changes: dict[str, Any], name: str, sentence: str, run: Run, flex: Callable[..., None]
) -> None:
    flex(CHAT, **changes)
    result = run("flex", "provision", name)
    assert (1, 1) == (result.exit_code, len(result.stderr.splitlines()))
    assert result.stderr.startswith(f"Error: {sentence}")
    assert "[destinations" not in result.stdout


def test_any_platform_is_provisioned_by_its_name(run: Run, flex: Callable[..., None], flex_sandbox: str) -> None:
    flex(CHAT)
    first = run("provision", "people")
    (flow,) = flows(flex_sandbox)
    assert (0, {"destinations": {"people": {"flex_flow_sid": flow["sid"]}}}) == (
        first.exit_code,
        tomllib.loads(printed(first)),
    )
    assert printed(first) == printed(run("flex", "provision", "people"))


NOT_MADE = {
    "an unknown name": (MADE, "nobody", "There is no channel or destination nobody."),
    "a channel that needs nothing": (MADE, "shop", "shop needs nothing on its platform that Patchbay could make."),
    "a destination that needs nothing": (MADE, "desk", "desk needs nothing on its platform that Patchbay could make."),
    "nobody there": ({"flex_url": "http://127.0.0.1:1"}, "people", "The platform did not do it: no connection"),
}


@pytest.mark.parametrize(("changes", "name", "sentence"), NOT_MADE.values(), ids=NOT_MADE)
def test_a_platform_that_cannot_be_provisioned_is_one_clear_line(
    changes: dict[str, Any], name: str, sentence: str, run: Run, flex: Callable[..., None]
) -> None:
    flex(CHAT, **changes)
    result = run("provision", name)
    assert (1, 1) == (result.exit_code, len(result.stderr.splitlines()))
    assert result.stderr.startswith(f"Error: {sentence}")


def test_what_a_platform_says_writes_no_lines_of_ours(run: Run, config: Path) -> None:
    with sink() as outside:
        said = {"last_error_message": "502\x1b[2J\nNothing to change."}
        outside.answers(*[Told(200, json.dumps({"ok": True, "result": found}).encode()) for found in (said, True)])
        bot = {"type": "telegram", "token": "7700001:AAH-made-up", "secret_tokens": ["tg_secret-0000"]}
        config.write_text(toml.dumps(tables(channels__tg={**bot, "destination": "helper", "api_url": outside.url})))
        result = run("provision", "tg")
    assert "The last webhook that failed: 502\\x1b[2J\\nNothing to change.\n" in result.stdout


def test_what_was_done_before_a_failure_is_shown(run: Run, flex: Callable[..., None], flex_sandbox: str) -> None:
    flex(CONVERSATIONS)
    fault = {"target": "flex", "kind": "fail", "status": 500, "path": "/Addresses", "method": "POST"}
    requests.post(f"{flex_sandbox}/faults", json=fault, timeout=5)
    result = run("flex", "provision", "people")
    assert 1 == result.exit_code
    assert f"POST {flex_sandbox}/twilio/conversations/v1/Configuration/Webhooks\n" in result.stdout
    assert 1 == len(result.stderr.splitlines())
    assert "Nothing to change" not in result.stdout


@pytest.mark.parametrize("text", ["", "destinations = 5", "[destinations]\npeople = 5", "[destinations.people]\n"])
def test_provisioning_from_a_broken_file_names_the_problems(text: str, run: Run, config: Path) -> None:
    config.write_text(text)
    result = run("flex", "provision", "people")
    assert 2 == result.exit_code
    assert "Traceback" not in result.output


class TestConsent:
    def test_it_is_shown_and_set(self, run: Run) -> None:
        assert run("consent", "show", "shop", "webhook:ada").stdout == "in: they never opted out\n"
        assert run("consent", "set", "shop", "webhook:ada", "out").stdout == "webhook:ada is out on shop\n"
        assert re.fullmatch(r"out: since [-0-9]+ [:0-9]+, an operator set it\n", self.shown(run, "shop"))
        assert self.shown(run, "chat", "webchat:ada").startswith("in")
        run("consent", "set", "shop", "webhook:ada", "in")
        assert self.shown(run, "shop").startswith("in: since ")

    def shown(self, run: Run, channel: str, customer: str = "webhook:ada") -> str:
        return run("consent", "show", channel, customer).stdout

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (("post", "webhook:ada"), "There is no channel post."),
            (("shop", "webchat:ada"), "webchat:ada is no address on shop: those begin with webhook:"),
            (("shop", "webhook:"), "webhook: is no address on shop: those begin with webhook:"),
        ],
    )
    def test_it_names_what_is_wrong(self, arguments: tuple[str, str], complaint: str, run: Run) -> None:
        result = run("consent", "show", *arguments)
        assert (1, f"Error: {complaint}\n") == (result.exit_code, result.stderr)
