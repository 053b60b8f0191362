"""How calls leave the house: through which proxy, past it where, and which authorities are trusted over TLS.

The environment has no say in this, only the configuration. Behind a proxy it is the proxy that looks names up, so there
the SSRF guard sees no more than the name: it refuses what shows an inside address, and the rest is for the proxy's own
rules. A host that an outsider chose is never called past the proxy.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import certifi

PROXIES = ("http", "socks5h")  # the second one looks names up as well, as its last letter says
USUAL_PORTS = {"http": 3128, "socks5h": 1080}
LOOPBACK = ("localhost", "127.0.0.0/8", "::1")  # behind a proxy, these would be the proxy's own
# Where systems keep their authorities, if Python has been built to look elsewhere.
SYSTEM_STORES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class Egress(NamedTuple):
    """`proxy`: its scheme, host and port; none if empty. `direct`: hosts of the configuration that are called past it: a
    name and all below it, an address or a network. `authorities`: a file or a directory of certificates."""

    proxy: str = ""
    user: str = ""
    password: str = ""
    direct: tuple[str, ...] = ()
    authorities: str = ""

    def __repr__(self) -> str:
        return f"Egress({self.proxy!r})"


def egress(proxy: str = "", direct: tuple[str, ...] = (), store: str = "certifi") -> Egress:
    """The way out that the configuration names.

    Args:
        proxy: a URL, perhaps with user and password.
        store: `certifi`, `system`, or a file of certificates.

    Raises:
        ValueError: it cannot be; the text is a rule, and holds no secret.
    """
    if not proxy:
        return Egress(direct=direct, authorities=authorities(store))
    parts = urlsplit(proxy)
    if parts.scheme not in PROXIES or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise ValueError(
            "Must be a URL like http://proxy:3128 or socks5h://proxy:1080, perhaps with user and password."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Egress(
        proxy=f"{parts.scheme}://{host}:{parts.port or USUAL_PORTS[parts.scheme]}",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        direct=direct,
        authorities=authorities(store),
    )


def authorities(store: str) -> str:
    """The file or directory of certificates that this setting names. Raises: ValueError: there is none."""
    if store == "certifi":
        return certifi.where()
    if store == "system":
        paths = ssl.get_default_verify_paths()
        found = [path for path in (paths.cafile, *SYSTEM_STORES, paths.capath) if path and Path(path).exists()]
        if not found:
            raise ValueError("Must be certifi or a file of certificates: this system shows no trust store.")
        return found[0]
    try:
        ssl.create_default_context(cafile=store)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise ValueError("Must be certifi, system, or a file of certificates (PEM) that can be read.") from None
    return store
