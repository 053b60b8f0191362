"""The settings of Celery that depend on its broker, and what is told of a broker that is away."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from app.core.work import Wake
from app.tasks import Publisher, create_celery
from tests.support.processes import RedisServer, free_port, wait_until

BROKERS = {
    "redis://127.0.0.1/1": True,
    "rediss://127.0.0.1/1": True,
    "redis+socket:///run/redis.sock": True,
    "sentinel://127.0.0.1:26379/mymaster/0": True,
    "redis+sentinel://127.0.0.1:26379/mymaster/0": True,
    "amqp://127.0.0.1": False,
    "amqps://127.0.0.1": False,
}


@pytest.mark.parametrize(("broker_url", "without"), BROKERS.items(), ids=BROKERS)
def test_hints_are_taken_without_a_word_from_redis_alone(broker_url: str, without: bool) -> None:
    queues = create_celery(broker_url, ["inbound:desk", "outbound:shop"]).conf.task_queues
    assert [without, without] == [queue.no_ack for queue in queues]


def test_a_broker_that_is_away_is_told_once_and_so_is_its_return(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"redis://:geheim@127.0.0.1:{free_port()}/0"
    wakes = [Wake("inbound:desk", "t"), Wake("outbound:shop", "t")]
    forgotten: list[Wake] = []
    publisher = Publisher(
        create_celery(nowhere, ["inbound:desk", "outbound:shop"], timeout=1, retries=0), forgotten.extend
    )
    with capture_logs() as logs:
        for _ in range(3):
            assert publisher.publish(wakes) == wakes
        assert wakes * 3 == forgotten
        wait_until("it may try again", lambda: not publisher.rests)
        monkeypatch.setattr(
            publisher, "celery", create_celery(redis_server.url, ["inbound:desk", "outbound:shop"], retries=0)
        )
        assert publisher.publish(wakes) == ()
    assert ["wake-up not published", "broker is back"] == [line["event"] for line in logs]
    assert logs[0]["broker"] == nowhere.replace("geheim", "**")


def test_a_lane_that_is_no_longer_configured_is_told_once_and_is_no_outage(redis_server: RedisServer) -> None:
    publisher = Publisher(create_celery(redis_server.url, ["inbound:desk"], retries=0))
    with capture_logs() as logs:
        for _ in range(3):
            assert publisher.publish([Wake("inbound:desk", "t"), Wake("inbound:gone", "t")])
    assert [("wake-up not published", "inbound:gone")] == [(line["event"], line["lane"]) for line in logs]
