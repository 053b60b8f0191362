"""nginx with the configuration that Patchbay ships, rendered for loopback: free ports, a certificate of its own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from tests.support.processes import HOST, Process, free_port, wait_until

SHIPPED = Path(__file__).parents[2] / "deploy/nginx/patchbay.conf"
NAME = "gw.example.test"
SEEN_FROM = "X-Tests-Seen-From"  # an address that a test's caller has for nginx
MAIN = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/access.log;
    set_real_ip_from 127.0.0.0/8;
    real_ip_header {seen_from};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    include {folder}/patchbay.conf;
}}
"""


class Nginx(Process):
    """In front of the servers at `upstreams` (host:port), at `url` for `NAME`; `plain` is its port without TLS."""

    def __init__(self, folder: Path, *upstreams: str) -> None:
        self.port, self.plain, self.folder = free_port(), free_port(), folder
        self.url = f"https://localhost:{self.port}"
        self.authority = folder / "authority.pem"
        self._write(upstreams)
        command = [_program(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
        super().__init__(command, folder / "nginx.log")

    def start(self) -> None:
        super().start()
        wait_until("nginx listens", self._listens)

    def connect(self, source: str = HOST) -> ssl.SSLSocket:
        """A connection from that loopback address."""
        context = ssl.create_default_context(cafile=str(self.authority))
        plain = socket.create_connection((HOST, self.port), timeout=10, source_address=(source, 0))
        return context.wrap_socket(plain, server_hostname="localhost")

    def logs(self) -> str:
        return "".join((self.folder / name).read_text() for name in ("access.log", "error.log", "nginx.log"))

    def _write(self, upstreams: tuple[str, ...]) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", NAME)
        authority.cert_pem.write_to_path(str(self.authority))
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(str(self.folder / "patchbay.crt"), append=True)
        certificate.private_key_pem.write_to_path(str(self.folder / "patchbay.key"))
        (self.folder / "nginx.conf").write_text(MAIN.format(folder=self.folder, seen_from=SEEN_FROM))
        (self.folder / "patchbay.conf").write_text(self._rendered(upstreams))

    def _rendered(self, upstreams: tuple[str, ...]) -> str:
        """What is shipped with other ports, receivers and files; nothing else is changed."""
        text = re.sub(r"(?m)^ *listen \[::\].*\n", "", SHIPPED.read_text())
        receiver = "    server 127.0.0.1:8000 max_fails=0;\n"
        for shipped, here in {
            "listen 80;": f"listen {HOST}:{self.plain};",
            "listen 443 ssl;": f"listen {HOST}:{self.port} ssl;",
            receiver: "".join(receiver.replace("127.0.0.1:8000", one) for one in upstreams),
            "/etc/nginx/tls": str(self.folder),
        }.items():
            assert shipped in text, f"{SHIPPED} has no {shipped}"
            text = text.replace(shipped, here)
        return text

    def _listens(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=1):
                return True
        except OSError:
            return False


def _program() -> str:
    """Without nginx such tests are skipped, but not by continuous integration, which installs it."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None and os.environ.get("CI"):
        pytest.fail("nginx is missing: .ci/run installs it")
    return found or pytest.skip("these tests need nginx: apt-get install nginx-light")
