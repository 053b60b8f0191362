"""How the stand-ins call others."""

import requests


def send(request: requests.Request, timeout: float | tuple[float, float], follow: bool = False) -> requests.Response:
    """`timeout` in seconds, or of connecting and of reading. Raises `requests.RequestException`."""
    with requests.Session() as session:
        session.trust_env = False  # no proxy of the environment
        prepared = session.prepare_request(request)
        return session.send(prepared, timeout=timeout, allow_redirects=follow)
