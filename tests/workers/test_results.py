"""Results that wait on the disk for Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import StoreUnavailable
from app.core.work import Claim, Done
from app.store.mailbox import Mailboxes
from tests.support.gateway import recorder
from tests.workers.conftest import Office
from workers import results

LANE = "inbound:helper"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATCHBAY_DATA", str(tmp_path))
    return tmp_path / "results"


def claim(office: Office) -> Claim:
    office.customer_writes("hello")
    wake = recorder(office.gateway).wakes.pop(0)
    found = office.gateway.store.mailboxes.work(wake.lane, wake.token, None, lease=30).claim
    assert found is not None
    return found


def test_what_was_kept_is_told_once_and_nobody_else_can_read_it(office: Office, data: Path) -> None:
    assert results.keep(office.gateway, Done(claim(office)))
    (file,) = data.iterdir()
    assert (0o600, 0o700) == (file.stat().st_mode & 0o777, data.stat().st_mode & 0o777)
    results.tell(office.gateway)
    results.tell(office.gateway)
    assert [] == list(data.iterdir())
    assert office.gateway.store.lanes.state(LANE, 0).waiting == 0


def test_one_that_comes_too_late_changes_nothing(office: Office, data: Path) -> None:
    results.keep(office.gateway, Done(claim(office)))
    office.work_later(31)
    before = office.asked()
    results.tell(office.gateway)
    assert (["hello"], []) == (before, list(data.iterdir()))


def test_it_waits_for_redis(office: Office, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results.keep(office.gateway, Done(claim(office)))

    def gone(self: Mailboxes, packed: bytes) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Mailboxes, "settle_packed", gone)
        with pytest.raises(StoreUnavailable):
            results.tell(office.gateway)
    assert len(list(data.iterdir())) == 1
    results.tell(office.gateway)
    assert [] == list(data.iterdir())


def test_one_that_nobody_understands_is_put_aside(office: Office, data: Path) -> None:
    results.keep(office.gateway, Done(claim(office)))
    (data / "odd.json").write_bytes(b"{")
    results.tell(office.gateway)
    assert [data / "odd.bad"] == list(data.iterdir())


def test_without_a_folder_to_write_to_it_says_so(office: Office, data: Path) -> None:
    data.write_text("a file")
    assert not results.keep(office.gateway, Done(claim(office)))
