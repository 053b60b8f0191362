"""Results that a worker could not tell of, as it had to end while Redis was away, in files for the next worker here.

To throw them away would be to call the platform again. Each is fenced by the owner of its lease, so one that is told
twice or too late changes nothing.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from app.core.errors import StoreUnavailable
from app.core.work import Outcome
from app.gateway import Gateway
from app.local.processes import data_folder
from app.log import logger

log = logger("results")


def folder() -> Path:
    return data_folder() / "results"


def keep(gateway: Gateway, outcome: Outcome) -> bool:
    """Write a result to the disk; False if that cannot be."""
    whole = folder() / f"{secrets.token_hex(8)}.json"
    part = whole.with_suffix(".part")
    try:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(part, "wb", opener=_private) as file:
            file.write(gateway.store.mailboxes.packed(outcome))
            file.flush()
            os.fsync(file.fileno())
        part.rename(whole)
    except OSError as error:
        log.error("result not kept", mailbox=outcome.claim.mailbox, folder=str(folder()), error=str(error))
        return False
    log.warning("result kept", mailbox=outcome.claim.mailbox, folder=str(folder()), advice="start a worker here again")
    return True


def tell(gateway: Gateway) -> None:
    """Settle what others left here. Raises: StoreUnavailable."""
    for file in sorted(folder().glob("*.json")):
        try:
            worked = gateway.store.mailboxes.settle_packed(file.read_bytes())
        except StoreUnavailable:
            raise
        except FileNotFoundError:
            continue  # another worker was faster
        except Exception as error:  # of another version, perhaps; the tick must go on
            log.error("result not told", file=str(file), exc_info=error)
            file.rename(file.with_suffix(".bad"))
        else:
            gateway.publisher.publish(worked.wakes)
            log.warning("result told", file=file.name, late=worked.stale)
            file.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
