"""Bodies of answers without their `Content-Encoding`. We ask for none, but some servers pack all the same."""

from __future__ import annotations

import gzip
import io
import zlib

from app.core import errors
from app.core.errors import Failure

GZIP = ("gzip", "x-gzip")
PACKED = (*GZIP, "deflate")


def too_large(most_bytes: int) -> Failure:
    return Failure(errors.UNPARSEABLE, f"the answer is larger than {most_bytes} bytes", maybe_done=True)


def unpacked(body: bytes, encoding: str, most_bytes: int) -> bytes:
    """The body without its `Content-Encoding`. We ask for none, but some servers pack all the same."""
    try:
        if encoding in GZIP:
            body = gzip.GzipFile(fileobj=io.BytesIO(body)).read(most_bytes + 1)
        elif encoding in PACKED:
            body = _inflated(body, most_bytes)
    except (zlib.error, OSError, EOFError):
        raise Failure(errors.UNPARSEABLE, "the answer's encoding is garbled", maybe_done=True) from None
    if len(body) > most_bytes:
        raise too_large(most_bytes)
    return body


def _inflated(body: bytes, most_bytes: int) -> bytes:
    """Raises: zlib.error, EOFError: it is garbled, or not whole."""
    inflating = zlib.decompressobj()
    try:
        inflated = inflating.decompress(body, most_bytes + 1)
    except zlib.error:  # without the wrapping that the name stands for
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        inflated = inflating.decompress(body, most_bytes + 1)
    if not inflating.eof and len(inflated) <= most_bytes:
        raise EOFError
    return inflated
