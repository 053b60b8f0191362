"""A suspect is tried with nothing else in hand of its process."""

from __future__ import annotations

import threading

from app.store.mailbox import Mailboxes
from tests.support.processes import wait_until
from tests.support.sink import Call, Told
from tests.workers.conftest import Office, bot_says
from workers.drain import Drainer, Threads
from workers.solitude import Solitude


def never() -> bool:
    return False


def test_who_is_alone_waits_for_the_others_and_the_others_for_them() -> None:
    solitude, goes, done = Solitude(), threading.Event(), list[str]()

    def beside(name: str) -> None:
        with solitude.together():
            if name == "before":
                goes.wait(10)
            done.append(name)

    before = threading.Thread(target=beside, args=("before",))
    before.start()
    wait_until("it works", lambda: solitude.drains == 1)

    def suspect() -> None:
        with solitude.together(), solitude.alone(never) as alone:
            assert alone
            after.start()
            done.append("alone")
            assert solitude.drains == 0

    after = threading.Thread(target=beside, args=("after",))
    trial = threading.Thread(target=suspect)
    trial.start()
    wait_until("it is closed", lambda: solitude.closed)
    assert not solitude.possible
    goes.set()
    for thread in (before, trial, after):
        thread.join(10)
    assert ["before", "alone", "after"] == done
    assert not solitude.closed


def test_it_is_not_tried_where_the_process_ends_first() -> None:
    solitude = Solitude()
    with solitude.together(), solitude.together(), solitude.alone(lambda: True) as alone:
        assert not alone
    assert not solitude.closed
    with solitude.together(), solitude.alone(never) as alone:
        assert alone


def test_it_rests_for_as_long_as_it_took() -> None:
    solitude = Solitude()
    with solitude.together(), solitude.alone(never):
        threading.Event().wait(0.3)
    assert not solitude.possible
    wait_until("it has rested", lambda: solitude.possible)


def test_nothing_else_of_the_process_is_in_hand_while_a_suspect_is_tried(office: Office) -> None:
    office.customer_writes("suspect", "ada")
    store: Mailboxes = office.gateway.store.mailboxes
    assert store.work("inbound:helper", "dies", None, lease=1.0, solitude="impossible").claim
    office.clock.advance(2)
    store.sweep()
    threads, at_once, lock, most = Threads(8), list[str](), threading.Lock(), dict[str, int]()

    def answer(call: Call) -> Told:
        text = call.form["Text"][0]
        with lock:
            at_once.append(text)
        threading.Event().wait(0.1)
        with lock:
            most[text] = max(len(at_once), most.get(text, 0))
            at_once.remove(text)
        return bot_says("Yes.")

    office.bot.answer = answer
    for number in range(20):
        office.customer_writes(f"harmless {number}", f"c-{number}")
    drains = [
        threading.Thread(target=Drainer(office.gateway, threads=threads).drain, args=("inbound:helper", f"t-{number}"))
        for number in range(4)
    ]
    for drain in drains:
        drain.start()
    for drain in drains:
        drain.join(30)
    office.work()
    assert most["suspect"] == 1
    assert len(office.asked()) == 21
    assert office.letters() == []
