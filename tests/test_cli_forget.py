"""`patchbay forget`: what an operator sees, and what is gone afterwards, in Redis and in a spool."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from app.cli import main
from app.cli.common import conversation_of
from app.core.events import Webhook, Written
from app.core.message import Text
from app.gateway import Gateway
from app.inbox import Inbox
from app.parked import kept, park
from app.spool import Spool, Spooled
from tests.store.steps import held
from tests.support import toml
from tests.support.gateway import gateway, tables
from tests.support.processes import RedisServer

Run = Callable[..., Result]
ADA, BEN = "webhook:zqada", "webhook:zqben"
BODY = '{"type": "message.created", "data": {"from": {"id": "%s"}, "text": "hello"}}'


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer, spool: Path) -> Run:
    path = tmp_path / "patchbay.toml"
    path.write_text(toml.dumps(tables(gateway={"spool": str(spool)})))
    monkeypatch.setenv("PATCHBAY_CONFIG", str(path))
    monkeypatch.setenv("PATCHBAY_REDIS_URL", redis_server.url)
    return lambda *arguments: CliRunner().invoke(main, ["forget", *arguments])


@pytest.fixture
def built(redis_client: redis.Redis) -> Gateway:
    """Ada and Ben have written, and each has a webhook that nobody could read."""
    built = gateway(redis_client)
    for number, customer in enumerate((ADA, BEN)):
        inbox = Inbox(built)
        inbox.accept("shop", Written(Text(f"{customer} is here"), external_id=f"m-{number}", customer=customer))
        park(built, "shop", webhook(customer), ValueError("oops"))
    return built


def webhook(customer: str) -> Webhook:
    return Webhook("POST", "http://gw/channels/shop", "", {}, (BODY % customer).encode())


def speaks_of(name: str, client: redis.Redis) -> list[str]:
    return [key for key, value in held(client).values.items() if name in f"{key} {value}"]


REPORT = """addresses: webhook:zqada
       1  messages
       1  waiting items
       1  parked webhooks
       1  timelines
       1  ids of platforms
"""
ELSEWHERE = "What their platforms know stays there; delete it where they were:\n  shop\n  helper\n"


def test_a_person_is_forgotten_and_others_are_not(run: Run, built: Gateway, redis_client: redis.Redis) -> None:
    others = speaks_of("zqben", redis_client)
    done = run("shop", ADA, "--yes")
    assert (0, f"{REPORT}{ELSEWHERE}{ADA} is forgotten on shop.\n") == (done.exit_code, done.stdout)
    assert [] == speaks_of("zqada", redis_client)
    assert others == speaks_of("zqben", redis_client)
    again = run("shop", ADA, "--yes")
    assert (0, f"Nothing is known of {ADA} on shop.\n") == (again.exit_code, again.stdout)


def test_a_dry_run_only_shows_it(run: Run, built: Gateway, redis_client: redis.Redis) -> None:
    before = held(redis_client).values
    done = run("shop", ADA, "--dry-run")
    assert (0, f"{REPORT}{ELSEWHERE}{ADA} is known on shop.\n") == (done.exit_code, done.stdout)
    assert before == held(redis_client).values


def test_where_nobody_can_be_asked_it_needs_a_yes(run: Run, built: Gateway, redis_client: redis.Redis) -> None:
    before = held(redis_client).values
    refused = run("shop", ADA)
    assert 1 == refused.exit_code
    assert "Forget all this, for good? There is nobody here to ask: add --yes." in refused.stderr
    assert before == held(redis_client).values


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("", 1), ("y", 0)], ids=["no", "only return", "yes"])
def test_a_person_is_asked_first(run: Run, built: Gateway, redis_client: redis.Redis, answer: str, code: int) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    command = [sys.executable, "-m", "app.cli", "forget", "shop", ADA]
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=60, check=False)
    os.close(ours), os.close(theirs)
    assert f"{REPORT}{ELSEWHERE}Forget all this, for good?" in done.stdout
    assert (code, bool(code)) == (done.returncode, bool(speaks_of("zqada", redis_client)))


def test_an_opt_out_is_kept_unless_it_is_to_be_forgotten(run: Run, built: Gateway, redis_client: redis.Redis) -> None:
    built.store.consents.write(f"shop/{ADA}", "out", "test")
    first = run("shop", ADA, "--yes")
    assert "Kept: whether they want messages; --consent forgets that, too.\n" in first.stdout
    assert [f"{{patchbay}}:o:shop/{ADA}".removeprefix("{patchbay}:")] == speaks_of("zqada", redis_client)
    second = run("shop", ADA, "--yes", "--consent")
    assert "       1  consent\n" in second.stdout
    assert [] == speaks_of("zqada", redis_client)


@pytest.mark.parametrize(
    ("channel", "customer", "sentence"),
    [
        ("nowhere", ADA, "There is no channel nowhere."),
        ("shop", "sms:+1555", "sms:+1555 is no address on shop: those begin with webhook:"),
    ],
)
def test_who_can_be_nobody_is_refused(run: Run, channel: str, customer: str, sentence: str) -> None:
    refused = run(channel, customer, "--yes")
    assert (1, f"Error: {sentence}\n") == (refused.exit_code, refused.stderr)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("whatsapp:+1 555 123-0001", "whatsapp:+15551230001"),
        ("WhatsApp: +1 (555) 123.0001", "whatsapp:+15551230001"),
        ("whatsapp:+15551230001", "whatsapp:+15551230001"),
        ("whatsapp:US.13491208655302741918", "whatsapp:US.13491208655302741918"),
        ("whatsapp:US.1 2", "whatsapp:US.1 2"),
    ],
)
def test_a_phone_number_is_meant_however_it_is_written(typed: str, meant: str) -> None:
    assert f"line/{meant}" == conversation_of({"line": "whatsapp"}, "line", typed)


def test_a_number_alone_is_one_for_sms() -> None:
    assert "line/sms:+15551230001" == conversation_of({"line": "sms"}, "line", "+1 555 123-0001")


def test_what_is_no_phone_number_is_taken_as_it_is() -> None:
    assert "shop/webhook:+1 555" == conversation_of({"shop": "webhook"}, "shop", "webhook:+1 555")


def test_what_others_chose_cannot_speak_to_the_terminal(run: Run, built: Gateway, redis_client: redis.Redis) -> None:
    redis_client.set("{patchbay}:a:desk:\x1b[2Jevil", f"shop/{ADA}", ex=100)
    shown = run("shop", ADA, "--dry-run").stdout
    assert "  desk: \\x1b[2Jevil\n" in shown
    assert "\x1b" not in shown


class TestASpool:
    """Of a receiver on this machine."""

    @pytest.fixture(autouse=True)
    def _filled(self, spool: Path, built: Gateway) -> None:
        opened = Spool(spool, 1_000_000)
        for number, customer in enumerate((ADA, BEN)):
            opened.keep(Spooled("shop", number, kept(built, "shop", webhook(customer))))

    def test_it_is_looked_through(self, run: Run, spool: Path) -> None:
        assert "       1  webhooks in the spool\n" in run("shop", ADA, "--dry-run").stdout
        assert b"zqada" in (spool / "webhooks").read_bytes()
        assert "       1  webhooks in the spool\n" in run("shop", ADA, "--yes").stdout
        assert b"zqada" not in (spool / "webhooks").read_bytes()
        assert b"zqben" in (spool / "webhooks").read_bytes()

    def test_of_whom_only_the_spool_knows_is_forgotten_there(
        self, run: Run, spool: Path, redis_client: redis.Redis
    ) -> None:
        redis_client.flushall()
        assert f"{ADA} is forgotten on shop.\n" in run("shop", ADA, "--yes").stdout
        assert b"zqada" not in (spool / "webhooks").read_bytes()

    def test_that_of_another_user_is_left_alone(
        self, run: Run, spool: Path, monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis
    ) -> None:
        before = held(redis_client).values
        monkeypatch.setattr("app.cli.forget.os.geteuid", lambda: os.getuid() + 1)
        refused = run("shop", ADA, "--yes")
        assert 1 == refused.exit_code
        assert f"The spool in {spool} belongs to " in refused.stderr
        assert before == held(redis_client).values

    def test_one_that_cannot_be_read_is_told_of(self, run: Run, spool: Path) -> None:
        (spool / "webhooks").unlink()
        (spool / "webhooks").mkdir()
        refused = run("shop", ADA, "--yes")
        assert (1, "Error: The spool cannot be looked through: Is a directory.\n") == (
            refused.exit_code,
            refused.stderr,
        )
