"""How calls leave the house: through which proxy, past it where, and which authorities are trusted over TLS.

The environment has no say in this, only the configuration. Behind a proxy it is the proxy that looks names up, so there
the SSRF guard sees no more than the name: it refuses one that shows an inside address, and the rest is for the proxy's
own rules. A host that an outsider chose is never called past the proxy.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import certifi
from marshmallow import Schema, ValidationError, fields, post_load, validate
from msgspec import Struct

from app.core.shown import shown

PROXIES = ("http", "socks5h")  # with the second one, too, the proxy looks names up
LOOPBACK = ("localhost", "127.0.0.0/8", "::1")  # behind a proxy, these would be the proxy's own
# Where systems keep their authorities, if Python was built to look elsewhere.
SYSTEM_STORES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class Egress(Struct, frozen=True):
    """`proxy`: a URL, perhaps with user and password; none if empty. `direct`: hosts of the configuration that are
    called past it (a name with all below it, an address, or a network). `authorities`: a file of certificates."""

    proxy: str = ""
    direct: tuple[str, ...] = ()
    authorities: str = certifi.where()

    def __repr__(self) -> str:
        return shown(self, "proxy")


def proxy_url(url: str) -> None:
    """Raises: ValidationError: it is no proxy's; the text does not hold it, for there may be a password in it."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in PROXIES and parts.hostname and parts.port and not (parts.path.strip("/") or parts.query)
    except ValueError:
        fits = False
    if url and not (fits and url.isascii() and url.isprintable() and " " not in url):
        raise ValidationError(
            "Must be like http://proxy.example.test:3128 or socks5h://user:password@proxy.example.test:1080."
        )


def authorities(store: str) -> str:
    """The file of certificates that this setting names. Raises: ValidationError: there is none."""
    if store == "certifi":
        return certifi.where()
    if store == "system":
        paths = ssl.get_default_verify_paths()
        for path in (paths.cafile, *SYSTEM_STORES):
            if path and Path(path).is_file():
                return path
        raise ValidationError("Must be certifi or a file of certificates: this system has none where they usually are.")
    try:
        ssl.create_default_context(cafile=store)
    except (OSError, ValueError):
        raise ValidationError("Must be certifi, system, or a file of certificates (PEM).") from None
    return store


class EgressSchema(Schema):
    """`[gateway.egress]`; becomes an Egress."""

    proxy = fields.String(load_default="", validate=proxy_url)
    direct = fields.List(
        fields.String(validate=validate.Regexp(r"[\w.:/-]+\Z", error="Must be a host name, an address or a network.")),
        load_default=list,
    )
    trust_store = fields.String(load_default="certifi", validate=authorities)

    @post_load
    def _made(self, values: dict[str, Any], **_: Any) -> Egress:
        return Egress(values["proxy"], tuple(values["direct"]), authorities(values["trust_store"]))
