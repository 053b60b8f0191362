"""The settings of Celery that depend on its broker."""

from __future__ import annotations

import pytest

from app.tasks import create_celery

BROKERS = {
    "redis://127.0.0.1/1": True,
    "rediss://127.0.0.1/1": True,
    "redis+socket:///run/redis.sock": True,
    "sentinel://127.0.0.1:26379": True,
    "amqp://127.0.0.1": False,
    "amqps://127.0.0.1": False,
}


@pytest.mark.parametrize(("broker_url", "without"), BROKERS.items(), ids=BROKERS)
def test_hints_are_taken_without_a_word_from_redis_alone(broker_url: str, without: bool) -> None:
    queues = create_celery(broker_url, ["inbound:desk", "outbound:shop"]).conf.task_queues
    assert [without, without] == [queue.no_ack for queue in queues]
