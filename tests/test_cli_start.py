"""What the commands need: modules, secrets, workers that show themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import orjson
import pytest
import redis
from click.testing import CliRunner, Result

from app.cli import COMMANDS, main
from app.cli.common import find_running
from app.config.file import CONFIG_VARIABLE
from app.core.events import Written
from app.core.message import Text
from app.gateway import Gateway
from app.inbox import Inbox
from app.platforms.commands import OLDER_NAMES
from tests.support import toml
from tests.support.gateway import gateway, run_until_quiet, tables
from tests.support.processes import Process, RedisServer, free_port, wait_until
from tests.support.sink import Told, sink

pytestmark = pytest.mark.processes

Run = Callable[..., Result]

# Each takes longer to load than all that a command does which only looks.
SLOW = ("celery", "kombu", "flask", "werkzeug", "twilio", "phonenumbers", "requests", "structlog", "rich", "granian")
LOADED = """
import sys
from app.cli import main
main({arguments!r}, standalone_mode=False)
print("loaded:", *sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def loaded(*arguments: str, **environment: str) -> set[str]:
    """The packages that a process has loaded when a command is done."""
    command = [sys.executable, "-c", LOADED.format(arguments=list(arguments))]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, env={**os.environ, **environment}
    )
    return set(done.stdout.splitlines()[-1].removeprefix("loaded:").split())


def test_help_loads_no_command() -> None:
    found = loaded("--help")
    assert "click" in found
    assert found.isdisjoint({*SLOW, "redis", "marshmallow", "asyncio", "orjson"})


def test_commands_that_only_look_load_neither_adapters_nor_celery(tmp_path: Path, redis_server: RedisServer) -> None:
    config = tmp_path / "patchbay.toml"
    config.write_text(toml.dumps(tables(channels__sms=SMS)))
    for arguments in (("lanes",), ("dead-letters", "list")):
        found = loaded(*arguments, PATCHBAY_CONFIG=str(config), PATCHBAY_REDIS_URL=redis_server.url)
        assert "redis" in found
        assert found.isdisjoint(SLOW)


def test_the_help_of_all_says_of_each_command_what_its_own_says() -> None:
    shown = CliRunner().invoke(main, ["--help"]).stdout
    with click.Context(main) as context:
        assert main.list_commands(context) == sorted([*COMMANDS, *OLDER_NAMES])
        for name in OLDER_NAMES:
            assert f"  {name} " in shown
        for name, (_, _, words) in COMMANDS.items():
            command = main.get_command(context, name)
            assert command is not None
            assert (command.name, command.get_short_help_str(200).rstrip(".")) == (name, words.rstrip("."))
            assert f"  {name} " in shown


def test_an_unknown_command_is_one_clear_line() -> None:
    result = CliRunner().invoke(main, ["lane"])
    assert result.exit_code == 2
    assert "No such command 'lane'" in result.stderr


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anything afterwards: a command tells the program that takes its place by the environment."""
    for name in ("PATCHBAY_CONFIG", "PATCHBAY_REDIS_URL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


SMS = {
    "type": "twilio",
    "account_sid": "env:NO_SUCH_SID",
    "auth_tokens": ["env:NO_SUCH_TOKEN"],
    "address": "+15550100",
    "destination": "helper",
}


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer) -> Path:
    """A configuration with every secret in a variable that is not set, on this machine of an operator."""
    secret = "env:NO_SUCH_SECRET"
    raw = tables(
        gateway={"redis_url": redis_server.url, "api_tokens": [secret], "public_url": secret},
        channels__shop={"secrets": [secret], "send_url": secret},
        channels__chat={"secrets": [secret]},
        channels__sms=SMS,
        destinations__helper={"auth_token": secret},
        destinations__desk={"api_token": "file:/no/such/file"},
        costs={"currency": "EUR"},
        costs__channels__shop={"inbound": "0.01"},
    )
    path = tmp_path / "patchbay.toml"
    path.write_text(toml.dumps(raw))
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def run() -> Run:
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


@pytest.fixture
def built(redis_client: redis.Redis) -> Gateway:
    """A gateway with one dead letter, and one message that was paid for."""
    with sink() as bot:
        bot.answers(Told(status=400, body=b"no such thing"))
        built = gateway(
            redis_client, bot_url=bot.url, costs={"currency": "EUR"}, costs__channels__shop={"inbound": "0.01"}
        )
        inbox = Inbox(built)
        inbox.accept("shop", Written(Text("hello"), external_id="m-1", customer="webhook:ada"))
        built.publisher.publish(inbox.wakes)
        run_until_quiet(built)
    return built


@pytest.mark.usefixtures("built")
class TestWithoutSecrets:
    @pytest.mark.parametrize(
        ("arguments", "shown"),
        [
            (("lanes",), "inbound:helper"),
            (("dead-letters", "list"), "rejected: HTTP 400: no such thing"),
            (("costs",), "in EUR"),
            (("costs", "conversation", "shop", "webhook:ada"), "currency"),
            (("consent", "show", "shop", "webhook:ada"), "in: they never opted out"),
            (("consent", "show", "sms", "+15551230001"), "in: they never opted out"),
        ],
        ids=" ".join,
    )
    def test_a_command_that_only_looks_needs_none(
        self, arguments: tuple[str, ...], shown: str, bare: Path, run: Run
    ) -> None:
        result = run(*arguments)  # in the folder of that file
        assert (result.exit_code, result.stderr) == (0, "")
        assert shown in result.stdout

    def test_one_dead_letter_and_one_message_are_shown_too(self, bare: Path, run: Run, built: Gateway) -> None:
        (letter,) = built.store.dead_letters.newest()
        shown = run("dead-letters", "show", letter.id, "--config", str(bare))
        assert (shown.exit_code, "hello" in shown.stdout) == (0, True)
        message = run("costs", "message", letter.message_id, "--config", str(bare))
        assert (message.exit_code, "EUR" in message.stdout) == (0, True)

    def test_what_changes_something_at_a_platform_says_which_are_missing(
        self, bare: Path, run: Run, built: Gateway
    ) -> None:
        (letter,) = built.store.dead_letters.newest()
        result = run("dead-letters", "replay", letter.id, "--config", str(bare))
        assert (result.exit_code, "NO_SUCH_SECRET" in result.stderr) == (2, True)

    def test_no_file_is_needed_where_redis_is_named(
        self, tmp_path: Path, run: Run, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PATCHBAY_REDIS_URL", redis_server.url)
        assert "inbound:helper" in run("lanes").stdout
        monkeypatch.delenv("PATCHBAY_REDIS_URL")
        result = run("lanes")
        assert (result.exit_code, result.stderr) == (2, "patchbay.toml cannot be read: No such file or directory\n")

    def test_a_file_that_is_named_must_be_there_all_the_same(
        self, run: Run, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATCHBAY_REDIS_URL", redis_server.url)
        result = run("lanes", "--config", "none.toml")
        assert (result.exit_code, result.stderr) == (2, "none.toml cannot be read: No such file or directory\n")


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"redis_url": "http://127.0.0.1"}, "gateway.redis_url: Must be a URL that begins with one of: redis://, "),
        ({"redis_url": 6379}, "gateway.redis_url: Must be a URL"),
        ({"redis_url": "redis://127.0.0.1:nothing"}, "gateway.redis_url: Must be a URL"),
        ({"redis_url": "env:NO_SUCH_URL"}, "gateway.redis_url: The environment variable NO_SUCH_URL is not set."),
        ({"redis_url": "file:/no/such"}, "gateway.redis_url: The file /no/such cannot be read."),
    ],
)
def test_a_redis_that_is_none_is_one_clear_line(table: dict[str, object], complaint: str, bare: Path, run: Run) -> None:
    bare.write_text(toml.dumps(tables(gateway=table)))
    result = run("lanes", "--config", str(bare))
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert result.stderr.startswith(complaint)


def test_a_redis_that_is_away_is_named_without_its_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("PATCHBAY_REDIS_URL", f"redis://:geheim@127.0.0.1:{port}/1")
    result = run("lanes")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Redis at redis://127.0.0.1:{port}/1 cannot be reached: ")
    assert "geheim" not in result.output


def test_a_worker_takes_nothing_in_its_working_folder_for_a_module_of_its_own(
    built: Gateway, tmp_path: Path, redis_server: RedisServer
) -> None:
    config, cwd = tmp_path / "patchbay.toml", tmp_path / "work"
    config.write_text(toml.dumps(tables()))
    for name in ("app/__init__", "workers/__init__", "celeryconfig"):
        module = cwd / f"{name}.py"
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text("raise SystemExit('imported from the working folder')")
    command = [str(Path(sys.executable).parent / "patchbay"), "worker", "--config", str(config), "--name", "odd"]
    environment = {
        "PATCHBAY_REDIS_URL": redis_server.url,
        "PATCHBAY_BROKER_URL": redis_server.url,
        "PYTHONSAFEPATH": "",
    }
    worker = Process(command, tmp_path / "worker.log", environment, cwd)
    worker.start()
    try:
        wait_until("it shows itself", lambda: [one for one in built.store.workers.alive() if one.name[:4] == "odd@"])
    finally:
        worker.stop()


class TestWorkersInLanes:
    @pytest.fixture(autouse=True)
    def lanes(self, built: Gateway, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer) -> Gateway:
        monkeypatch.setenv("PATCHBAY_REDIS_URL", redis_server.url)
        return built

    def test_that_there_is_none_is_the_first_line(self, run: Run) -> None:
        first, *rows = run("lanes").stdout.splitlines()
        assert first == "No worker is running: what comes in is kept, and waits for `patchbay worker`."
        assert [row for row in rows if "workers 0" in row] == []

    def test_those_that_serve_everything_are_counted(self, run: Run, built: Gateway) -> None:
        for name in ("worker-0@a", "worker-0@b"):
            built.store.workers.beat(name, sorted(built.lanes))
        first, *rows = run("lanes").stdout.splitlines()
        assert first == "2 workers are running: worker-0@a, worker-0@b"
        assert [row for row in rows if "workers" in row] == []

    def test_where_they_serve_some_lanes_each_lane_has_its_number(self, run: Run, built: Gateway) -> None:
        built.store.workers.beat("bots@a", ["inbound:helper"])
        built.store.workers.beat("rest@a", [lane for lane in built.lanes if lane != "inbound:desk"])
        rows = {row.split()[0]: row for row in run("lanes").stdout.splitlines()}
        counted = {name: row.rpartition("workers ")[2] for name, row in rows.items() if name in built.lanes}
        assert (counted["inbound:helper"], counted["outbound:shop"], counted["inbound:desk"]) == ("2", "1", "0")


@pytest.mark.parametrize(
    ("option", "variable", "meant"),
    [
        (None, None, True),
        ("mine.toml", None, True),
        (None, "mine.toml", True),
        (None, "{here}/mine.toml", True),
        ("other.toml", None, False),
        (None, "other.toml", False),
    ],
)
def test_what_runs_here_is_meant_unless_another_file_is_named(
    option: str | None, variable: str | None, meant: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".patchbay").mkdir()
    told = {CONFIG_VARIABLE: str(tmp_path / "mine.toml"), "PATCHBAY_REDIS_URL": "unix:///there"}
    (tmp_path / ".patchbay" / "environment.json").write_bytes(orjson.dumps(told))
    monkeypatch.chdir(tmp_path)
    for name in ("PATCHBAY_DATA", "PATCHBAY_REDIS_URL", CONFIG_VARIABLE):
        monkeypatch.setenv(name, "")  # and as it was afterwards
    if variable:
        monkeypatch.setenv(CONFIG_VARIABLE, variable.format(here=tmp_path))
    find_running(Path(option) if option else None)
    assert ("unix:///there" if meant else "") == os.environ["PATCHBAY_REDIS_URL"]
