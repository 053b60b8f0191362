"""The load balancer of several cells as it is shipped, rendered for loopback: free ports, files and receivers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests
import trustme

from tests.support import haproxy
from tests.support.processes import HOST, Process, free_port

SHIPPED = Path(__file__).parents[2] / "deploy/haproxy"
SERVER = re.compile(r"(?m)^    server (\w+)-a \S+ check\n")


class Balancer:
    """In front of `cells`: the addresses (host:port) of each one's receivers; at `url`, signed by `authority`. `names`
    says where channels and destinations are, in place of the shipped map."""

    def __init__(
        self, folder: Path, cells: Mapping[str, Sequence[str]], names: Mapping[str, str] | None = None
    ) -> None:
        self.folder, self.port, self.plain = folder, free_port(), free_port()
        self.url, self.authority = f"https://localhost:{self.port}", str(folder / "authority.pem")
        shipped = (SHIPPED / "cells.map").read_text()
        lines = shipped if names is None else "".join(f"{name} {cell}\n" for name, cell in names.items())
        (folder / "cells.map").write_text(lines)
        self._write_certificate()
        self.config = self._rendered(cells)
        self._process: Process | None = None

    def start(self) -> None:
        self._process = haproxy.start(self.config, self.folder)

    def stop(self) -> None:
        if self._process:
            self._process.stop()

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"{}"
    ) -> requests.Response:
        return requests.request(
            method,
            self.url + path,
            headers=headers,
            data=body,
            verify=self.authority,
            timeout=30,
            allow_redirects=False,
        )

    def log(self) -> str:
        return (self.folder / "haproxy.log").read_text()

    def _rendered(self, cells: Mapping[str, Sequence[str]]) -> str:
        """What is shipped with other ports, receivers and files; nothing else is changed."""
        text = (SHIPPED / "cells.cfg").read_text()
        for shipped, here in {
            "bind :80": f"bind {HOST}:{self.plain}",
            "bind :443": f"bind {HOST}:{self.port}",
            "/etc/haproxy/tls/patchbay.pem": str(self.folder / "patchbay.pem"),
            "/etc/haproxy/cells.map": str(self.folder / "cells.map"),
        }.items():
            assert shipped in text, f"{SHIPPED} has no {shipped}"
            text = text.replace(shipped, here)
        assert {*SERVER.findall(text)} == {*cells}
        return SERVER.sub(lambda found: _servers(found[1], cells[found[1]]), text)

    def _write_certificate(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        certificate = authority.issue_cert("localhost")
        certificate.private_key_and_cert_chain_pem.write_to_path(str(self.folder / "patchbay.pem"))


def _servers(cell: str, addresses: Sequence[str]) -> str:
    return "".join(f"    server {cell}-{n} {address} check\n" for n, address in enumerate(addresses))
