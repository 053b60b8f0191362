"""The `patchbay` command, as an operator uses it on a running system."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from app.cli import main
from app.config import Settings, check
from app.core.events import Webhook, Written
from app.core.message import Text
from app.gateway import Gateway
from app.inbox import Inbox, park
from tests.support import toml
from tests.support.gateway import gateway, run_until_quiet, tables
from tests.support.processes import RedisServer
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
    assert 0 == run("dead-letters", "discard", "all").exit_code
    assert "No dead letters." in run("dead-letters", "list").stdout


def test_an_unknown_letter_is_one_clear_line(run: Run, letter: tuple[Gateway, str]) -> None:
    for verb in ("show", "replay", "discard"):
        result = run("dead-letters", verb, "nonesuch")
        assert (1, "Error: There is no dead letter nonesuch.\n") == (result.exit_code, result.stderr)


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


def test_redis_out_of_reach_is_one_clear_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHBAY_REDIS_URL", "redis://127.0.0.1:1/0")
    result = run("lanes")
    assert 1 == result.exit_code
    assert 1 == len(result.stderr.splitlines())


def test_a_worker_for_no_lane_is_refused(run: Run) -> None:
    result = run("worker", "--lanes", "inbound:nobody")
    assert 2 == result.exit_code
    assert "--lanes: Matches none of: " in result.stderr


def test_an_unverified_channel_is_refused_off_loopback(run: Run, config: Path) -> None:
    config.write_text(toml.dumps(tables(channels__shop={"verification": "none", "secrets": []})))
    result = run("receiver", "--host", "0.0.0.0")
    assert 2 == result.exit_code
    assert "channels.shop.verification: May not be none on 0.0.0.0." in result.stderr


def test_tables_of_the_tests_are_what_the_file_says(config: Path) -> None:
    def values(settings: Settings) -> Any:
        return {**settings.channels, **settings.destinations}

    assert values(check(tables(), {})) == values(check(tomllib.loads(config.read_text()), {}))
