"""A token that was taken back stays so for as long as it could have been good."""

from __future__ import annotations

import pytest
import redis

from app.store import Store
from tests.store.steps import ANN, BEN, key


@pytest.mark.parametrize(("made", "revoked"), [(0.0, True), (999.0, True), (1000.5, True), (1001.0, False)])
def test_tokens_up_to_that_time_are_taken_back(store: Store, made: float, revoked: bool) -> None:
    store.revocations.revoke(ANN, 1000.5, 60)
    assert revoked == store.revocations.is_revoked(ANN, made)
    assert not store.revocations.is_revoked(BEN, made)


def test_what_was_taken_back_is_forgotten_when_it_would_have_ended(store: Store, client: redis.Redis) -> None:
    store.revocations.revoke(ANN, 1000.5, 60)
    assert 0 < client.ttl(key("v", ANN)) <= 60
    store.revocations.revoke(ANN, 2000.0, 3600)
    assert store.revocations.is_revoked(ANN, 1500.0)
    assert 60 < client.ttl(key("v", ANN)) <= 3600
