"""Kill -9 of workers while a bot is asked several messages as one question: none is lost or stands in two questions,
order is kept, and a question that is asked again is the same."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import RedisServer, System, wait_until
from tests.support.shop import Shop
from tests.support.sink import Call, Sink, Told, sink
from tests.workers.conftest import bot_says

CUSTOMERS, LINES, KILLS = 12, 6, 3


def test_a_kill_neither_loses_nor_splits_a_question(tmp_path: Path) -> None:
    with sink() as bot, sink() as shop:
        bot.answer = _slowly
        config = tmp_path / "patchbay.toml"
        raw = tables(
            send_url=f"{shop.url}/patchbay",
            bot_url=bot.url,
            destinations__helper={"burst": 0.3, "timeout": 1.0, "resend_after_timeout": True},
        )
        config.write_text(toml.dumps(raw))
        server = RedisServer(tmp_path)
        server.start()
        system = System(config, server.url, tmp_path)
        system.start(workers=1)
        try:
            writer = Shop(system.url)
            for kill in range(KILLS):
                _write(writer, kill)
                asked = len(bot.calls)
                wait_until("the bot is asked", lambda asked=asked: len(bot.calls) > asked)
                system.workers[-1].kill()
                system.add_worker()
            wait_until("all are delivered", lambda: len(_delivered(shop)) == CUSTOMERS * LINES, 90)
            wait_until("all are answered", lambda: len(_said(shop)) >= len(set(_asked(bot))), 30)
        finally:
            system.stop()
            server.stop()
        _check(_asked(bot), _said(shop))


def _write(writer: Shop, part: int) -> None:
    """Each customer's next lines."""
    each = LINES // KILLS
    for number in range(part * each, (part + 1) * each):
        for customer in range(CUSTOMERS):
            writer.write_until_taken(f"m-{customer}-{number}", f"v-{customer}", f"{customer}:{number}")


def _check(asked: list[str], said: list[str]) -> None:
    questions = list(dict.fromkeys(asked))
    lines: dict[str, list[int]] = defaultdict(list)
    for question in questions:
        for line in question.split("\n"):
            customer, _, number = line.partition(":")
            lines[customer].append(int(number))
    assert {str(customer): list(range(LINES)) for customer in range(CUSTOMERS)} == lines
    assert len(questions) < CUSTOMERS * LINES, "nothing was asked as one"
    assert sorted(questions) == sorted(said)
    print(f"{len(questions)} questions of {CUSTOMERS * LINES} messages; {len(asked) - len(questions)} were asked again")


def _slowly(call: Call) -> Told:
    time.sleep(0.1)  # so that a kill finds questions in mid-air
    return bot_says(call.form["Text"][0])


def _asked(bot: Sink) -> list[str]:
    return [call.form["Text"][0] for call in list(bot.calls)]


def _said(shop: Sink) -> list[str]:
    told = [call.json for call in list(shop.calls)]
    return list(dict.fromkeys(one["data"]["content"]["text"] for one in told if one["type"] == "message.created"))


def _delivered(shop: Sink) -> set[str]:
    told = [call.json["data"] for call in list(shop.calls) if call.json["type"] == "message.status"]
    return {one["id"] for one in told if one["status"] == "delivered" and one["id"].startswith("m-")}
