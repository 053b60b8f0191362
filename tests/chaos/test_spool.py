"""Redis goes away, and the receiver is killed meanwhile: what came only once arrives, once and in order."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from pathlib import Path

import requests
from twilio.request_validator import RequestValidator

from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import RedisServer, System, wait_until
from tests.support.sink import sink

TOKEN = "twilio-token-0001"
CUSTOMERS, EACH = 4, 40


def test_what_comes_only_once_outlives_redis_and_the_receiver(tmp_path: Path) -> None:
    sms = {"type": "twilio", "account_sid": "AC" + "3" * 32, "auth_tokens": [TOKEN], "address": "+15551239999"}
    with sink() as desk:
        raw = tables(desk_url=f"{desk.url}/desk", channels__sms={**sms, "destination": "desk"})
        raw["gateway"]["spool"] = str(tmp_path / "spool")
        (tmp_path / "patchbay.toml").write_text(toml.dumps(raw))
        server = RedisServer(tmp_path)
        server.start()
        system = System(tmp_path / "patchbay.toml", server.url, tmp_path)
        system.start(workers=1)
        taken: list[tuple[int, int]] = []
        writers = [threading.Thread(target=_write, args=(system.url, who, taken)) for who in range(CUSTOMERS)]
        try:
            for writer in writers:
                writer.start()
            _wait_for(taken, 1, 5)
            server.kill()
            _wait_for(taken, 2, 5)
            system.receiver.kill()
            system.receiver.start()
            _wait_for(taken, 3, 5)
            server.start()
            for writer in writers:
                writer.join(60)
            delivered: dict[str, list[str]] = defaultdict(list)
            wait_until("all is delivered", lambda: len(list(desk.calls)) >= CUSTOMERS * EACH, 60)
        finally:
            system.stop()
            server.stop()
        for call in desk.calls:
            event = call.json["events"][0]
            delivered[call.json["contactId"]].append(event["message"]["text"])
    assert list(delivered.values()) == [[f"{number}" for number in range(EACH)]] * CUSTOMERS


def _wait_for(taken: list[tuple[int, int]], fifths: int, of: int) -> None:
    wait_until("webhooks were taken", lambda: len(taken) >= CUSTOMERS * EACH * fifths // of, 60)


def _write(url: str, who: int, taken: list[tuple[int, int]]) -> None:
    """One customer after whose SMS the next one is written; each is sent again only if nobody answered at all."""
    for number in range(EACH):
        form = {
            "MessageSid": f"SM{who:016x}{number:016x}",
            "From": f"+1555123000{who}",
            "To": "+15551239999",
            "Body": str(number),
            "NumMedia": "0",
        }
        signature = RequestValidator(TOKEN).compute_signature(f"{url}/channels/sms", form)
        while True:
            try:
                answer = requests.post(
                    f"{url}/channels/sms", data=form, headers={"X-Twilio-Signature": signature}, timeout=10
                )
            except requests.ConnectionError:  # as Twilio's fallback address would be asked
                time.sleep(0.1)
                continue
            assert answer.status_code == 200, answer.text
            break
        taken.append((who, number))
