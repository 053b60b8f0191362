"""For how long what is done is kept: as the gateway says, or as the channel's own table does."""

from __future__ import annotations

import pytest
import redis

from app.core.acceptance import Acceptance
from app.core.costs import Cost
from app.core.work import Dead, Done
from app.store import Store
from app.store.limits import Limits
from tests.store.steps import PREFIX, SHOP, Drain, entry, key, message, write
from tests.support.gateway import Clock

BRIEF, USUAL = "shop/webchat:ann", "office/webchat:ann"  # whose channels keep it for 100 s, and for 5,000 s
LANES = {"inbound:bot": 9, SHOP: 9, "outbound:office": 9}


@pytest.fixture
def limits() -> Limits:
    return Limits(retention=5_000, session_keep=60, retentions={"shop": 100})


@pytest.fixture
def listing(client: redis.Redis, limits: Limits, clock: Clock) -> Store:
    """One whose channels' messages all stand in one list."""
    store = Store(client, limits, clock, {"shop": ["AC1"], "office": ["AC1"]})
    store.lanes.declare(LANES)
    return store


@pytest.mark.parametrize(("conversation", "kept"), [(BRIEF, 100), (USUAL, 5_000)])
class TestAChannelsOwnRetention:
    def test_holds_for_records_timelines_streams_sums_and_the_platforms_ids(
        self, listing: Store, client: redis.Redis, conversation: str, kept: int
    ) -> None:
        write(listing, 1, conversation, live=True, show=True, cost=Cost("inbound", 5))
        drain = Drain(listing)
        drain.step(Done(drain.claim(), scope="bot:inbound:its-1", event="typing"))
        names = [
            f"m:{1:032x}",
            f"t:{conversation}",
            f"e:{conversation}",
            "x:bot:inbound:its-1",
            f"cost:c:{conversation}",
        ]
        assert dict.fromkeys(names, kept) == {name: client.ttl(PREFIX + name) for name in names}
        assert client.hget(key("m", f"{1:032x}"), "lv") == str(kept)

    def test_holds_for_a_message_that_is_called_off(
        self, listing: Store, client: redis.Redis, conversation: str, kept: int
    ) -> None:
        lane = f"outbound:{conversation.partition('/')[0]}"
        write(listing, 1, conversation, direction="outbound", lane=lane)
        assert listing.messages.cancel(conversation, [f"{1:032x}"], "canceled")[0]
        assert client.ttl(key("m", f"{1:032x}")) == kept

    def test_holds_for_a_message_that_its_customer_no_longer_wants(
        self, listing: Store, client: redis.Redis, conversation: str, kept: int
    ) -> None:
        lane = f"outbound:{conversation.partition('/')[0]}"
        write(listing, 1, conversation, direction="outbound", lane=lane)
        listing.consents.write(conversation, "out", "test")
        assert Drain(listing, lane).step() is None
        assert client.ttl(key("m", f"{1:032x}")) == kept

    def test_holds_for_the_message_of_a_dead_letter_that_is_discarded_before_its_report_is_out(
        self, listing: Store, client: redis.Redis, conversation: str, kept: int
    ) -> None:
        self._die(listing, conversation)
        assert listing.dead_letters.discard(listing.dead_letters.newest()[0].id)
        assert client.ttl(key("m", f"{1:032x}")) == kept

    def test_holds_for_the_message_of_a_dead_letter_that_is_too_old(
        self, listing: Store, client: redis.Redis, clock: Clock, conversation: str, kept: int
    ) -> None:
        self._die(listing, conversation)
        clock.advance(40)
        Store(client, Limits(retention=5_000, retentions={"shop": 100}, dead_letter_keep=30), clock).dead_letters.trim()
        assert client.ttl(key("m", f"{1:032x}")) == kept - 40

    def _die(self, store: Store, conversation: str) -> None:
        write(store, 1, conversation, report_to="shop")
        drain = Drain(store)
        drain.step(Dead(drain.claim(), reason="rejected"))


def test_a_list_of_several_channels_keeps_what_any_of_them_keeps(
    listing: Store, client: redis.Redis, clock: Clock
) -> None:
    write(listing, 1, USUAL)
    clock.advance(200)
    listing.mailboxes.accept(Acceptance(entry=entry(2, BRIEF)))
    assert [f"{1:032x}", f"{2:032x}"] == client.zrange(key("i", "AC1"), 0, -1)
    assert client.ttl(key("i", "AC1")) == 5_000


def test_what_is_answered_on_another_channel_is_kept_as_that_one_says(listing: Store, client: redis.Redis) -> None:
    write(listing, 1, BRIEF)
    drain = Drain(listing)
    claim = drain.claim()
    drain.step(Done(claim, append=(entry(2, USUAL, "outbound", lane="outbound:office"),)))
    assert message(2, USUAL).channel == "office"
    assert [100, 5_000] == [client.ttl(key("m", f"{1:032x}")), client.ttl(key("t", USUAL))]
