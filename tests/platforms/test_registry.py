"""The registry: platforms of other packages, clear complaints, and a house that names none of them elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from pathlib import Path
from shutil import copytree
from typing import Any

import orjson
import pytest
import redis

from app.config.schema import ConfigError, check
from app.core.costs import Costs
from app.platforms import registry
from app.platforms.registry import BUILT_IN, OURS, Entry, PlatformError, Registry, platforms
from app.web import create_app
from tests.support import toml
from tests.support.gateway import gateway, run_until_quiet, tables
from tests.support.sink import Call, Sink, Told

ROOT = Path(__file__).parents[2]
TOKEN = "toy-token-0001"
ONE_OF = {kind: f"Must be one of: {', '.join(platforms().types(kind))}." for kind in ("channel", "destination")}


# --- a package of somebody else ---


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on which a package is installed by pip, as into an environment of its own."""
    source, target = tmp_path_factory.mktemp("toy") / "source", tmp_path_factory.mktemp("installed")
    copytree(ROOT / "tests" / "fixtures" / "toy_package", source)
    example = re.search(r"```python\n(.*?class ToyChannel.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert example is not None
    (source / "toy_channel.py").write_text(example[1])
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(target), str(source)], check=True, timeout=120)
    return target


@pytest.fixture
def installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(package)
    invalidate_caches()
    platforms.cache_clear()
    yield package
    platforms.cache_clear()
    for module in ("toy_channel", "toy_bot"):
        sys.modules.pop(module, None)


def toys(outside: str) -> dict[str, Any]:
    channel = {"type": "toy", "token": TOKEN, "send_url": f"{outside}/toy", "destination": "parrot"}
    return {
        "channels__playroom": channel,
        "destinations__parrot": {"type": "parrot", "base_url": f"{outside}/parrot"},
        "costs": {"currency": "EUR"},
    }


def says(call: Call) -> Told:
    """The parrot says what it heard, the toy takes everything."""
    return Told(body=orjson.dumps({"says": f"{call.json['says']}!"})) if call.path == "/parrot" else Told()


def test_a_package_brings_platforms_that_talk(installed: Path, redis_client: redis.Redis, outside: Sink) -> None:
    built = gateway(redis_client, **toys(outside.url))
    outside.answer = says
    client = create_app(built).test_client()
    for number, text in enumerate(("hello", "again")):
        body = {"id": f"m-{number}", "who": "ada", "says": text}
        answer = client.post("/channels/playroom", json=body, headers={"X-Toy-Token": TOKEN})
        assert (200, {}) == (answer.status_code, answer.json)
        run_until_quiet(built)
    assert [call.json for call in outside.calls if call.path == "/toy"] == [
        {"to": "ada", "text": "hello!"},
        {"to": "ada", "text": "again!"},
    ]
    assert [call.json for call in outside.calls if call.path == "/parrot"] == [
        {"before": [], "says": "hello"},
        {"before": ["hello", "hello!"], "says": "again"},
    ]
    today = built.store.costs.today()
    assert [Costs(today, "playroom", turns=4_000_000)] == built.store.costs.days(today, today, "")


def test_what_was_said_before_is_bounded_and_leaves_out_what_waits(
    installed: Path, redis_client: redis.Redis, outside: Sink
) -> None:
    built = gateway(redis_client, **toys(outside.url))
    outside.answer = says
    client = create_app(built).test_client()
    for number in range(4):  # a burst: the last ones wait while the first is worked
        body = {"id": f"m-{number}", "who": "ada", "says": str(number)}
        client.post("/channels/playroom", json=body, headers={"X-Toy-Token": TOKEN})
    run_until_quiet(built)
    assert [call.json["before"] for call in outside.calls if call.path == "/parrot"] == [
        [],
        ["0", "0!"],
        ["1", "0!", "1!"],  # three at most, in the order in which they were said
        ["0!", "1!", "2!"],
    ]


def test_a_packages_webhooks_are_verified_and_named_like_any_other(
    installed: Path, redis_client: redis.Redis, outside: Sink
) -> None:
    client = create_app(gateway(redis_client, **toys(outside.url))).test_client()
    assert client.post("/channels/playroom", json={}).status_code == 401
    answer = client.post("/channels/playroom", json={"id": "1", "who": "ada"}, headers={"X-Toy-Token": TOKEN})
    assert (400, "says") == (answer.status_code, answer.json["error"]["field"])  # type: ignore[index]
    answer = client.post("/destinations/parrot", json={})
    assert (401, {"message": "Not verified: this destination answers at once and sends no webhooks."}) == (
        answer.status_code,
        answer.json["error"],  # type: ignore[index]
    )


@pytest.mark.processes  # and pip
def test_the_commands_know_a_package_of_their_environment(package: Path, tmp_path: Path) -> None:
    config = tmp_path / "patchbay.toml"
    config.write_text(toml.dumps(tables(**toys("http://127.0.0.1:9"))))
    command = [str(Path(sys.executable).parent / "patchbay"), "check-config", str(config)]
    alone = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (2, f"channels.playroom.type: {ONE_OF['channel']}" in alone.stderr) == (alone.returncode, True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(package)})
    assert (0, "") == (done.returncode, done.stderr)


# --- complaints ---


def found(*entries: Entry) -> Registry:
    return Registry([*(Entry(*name.split(".", 1), where, OURS) for name, where in BUILT_IN.items()), *entries])


def problems(raw: dict[str, Any]) -> dict[str, str]:
    try:
        check(raw, {})
    except ConfigError as error:
        return dict(error.problems)
    return {}


def entry(where: str, kind: str = "channel", type_: str = "fax", package: str = "patchbay-fax") -> Entry:
    return Entry(kind, type_, where, package)


BROKEN: dict[str, tuple[list[Entry], str]] = {
    "no such module": (
        [entry("not_installed_here:Fax")],
        "The channel type fax of patchbay-fax (not_installed_here:Fax) cannot be loaded: "
        "ModuleNotFoundError: No module named 'not_installed_here'.",
    ),
    "no such class": (
        [entry("app.platforms.webhook.channel:Fax")],
        "The channel type fax of patchbay-fax (app.platforms.webhook.channel:Fax) cannot be loaded: "
        "AttributeError: module 'app.platforms.webhook.channel' has no attribute 'Fax'.",
    ),
    "a destination": (
        [entry("app.platforms.respondio.destination:RespondioDestination")],
        "The channel type fax of patchbay-fax (app.platforms.respondio.destination:RespondioDestination) is no "
        "subclass of app.platforms.channel.Channel.",
    ),
    "no class": (
        [entry("app.platforms.webhook.channel:HEADERS")],
        "The channel type fax of patchbay-fax (app.platforms.webhook.channel:HEADERS) is no subclass of "
        "app.platforms.channel.Channel.",
    ),
    "a verb is missing": (
        [entry(f"{__name__}:Mute")],
        f"The channel type fax of patchbay-fax ({__name__}:Mute) lacks parse, send.",
    ),
    "no settings": (
        [entry(f"{__name__}:Unset")],
        f"The channel type fax of patchbay-fax ({__name__}:Unset) has no Settings made from "
        "app.platforms.channel.ChannelSchema.",
    ),
    "two of one type": (
        [entry("a:A", package="patchbay-fax"), entry("b:B", package="faxes")],
        "patchbay-fax and faxes both bring a channel of type fax; uninstall one.",
    ),
}


class Mute(registry.Channel):
    def verify(self, webhook: Any) -> None: ...

    def acknowledge(self, webhook: Any, accepted: Any) -> Any: ...


class Unset(Mute):
    def parse(self, webhook: Any) -> Any: ...

    def send(self, outgoing: Any, http: Any) -> Any: ...


@pytest.mark.parametrize(("entries", "sentence"), BROKEN.values(), ids=BROKEN)
def test_a_type_that_cannot_be_used_is_one_clear_line(
    entries: list[Entry], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = found(*entries)
    for module in ("app.config.schema", "app.config.rules"):
        monkeypatch.setattr(f"{module}.platforms", lambda: known)
    monkeypatch.setattr(registry, "platforms", lambda: known)
    fax = {"type": "fax", "destination": "helper"}
    raw = tables(channels__fax=fax, costs={"currency": "EUR"}, costs__channels__fax={"inbound": "1"})
    assert {"channels.fax.type": sentence} == problems(raw)
    assert {} == problems(tables())  # nobody else is harmed


def test_a_type_of_ours_cannot_be_taken_by_a_package() -> None:
    known = found(entry("spy:Spy", type_="webhook", package="spy"))
    with pytest.raises(PlatformError, match="Patchbay and spy both bring a channel of type webhook"):
        known.load("channel", "webhook")


def test_an_unknown_type_lists_those_that_there_are() -> None:
    assert {"respondio", "twiml"} <= set(re.findall(r"\w+", ONE_OF["destination"]))
    assert ONE_OF["destination"] == problems(tables(destinations__desk={"type": "fax"}))["destinations.desk.type"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_of_ours_keeps_the_contract(name: str) -> None:
    kind, _, type_ = name.partition(".")
    assert isinstance(platforms().load(kind, type_), type)  # type: ignore[arg-type]  # one of the two


def test_only_what_is_configured_is_loaded() -> None:
    code = "import sys; from app.config.schema import load; import pathlib; load(pathlib.Path(sys.argv[1]), {}); "
    code += "print(*sorted(name for name in sys.modules if name.startswith(('app.platforms.', 'twilio'))))"
    done = subprocess.run(
        [sys.executable, "-c", code, "/dev/stdin"],
        input=toml.dumps(tables()), capture_output=True, text=True, check=True, timeout=60, cwd=ROOT,
    )  # fmt: skip
    loaded = set(done.stdout.split())
    assert {"app.platforms.webhook.channel", "app.platforms.webchat", "app.platforms.respondio"} <= loaded
    assert not [name for name in loaded if "flex" in name or "twiml" in name or name == "app.platforms.twilio.channel"]


# --- a house that names none of them ---

# Types, and the products behind them; but for words that are no product's alone.
COMMON = {"webhook", "line", "front", "chat"}
TYPES = {part for name in BUILT_IN for part in name.partition(".")[2].split("_")} - COMMON - {"conversations"}
NAMES = sorted(TYPES | {"twilio", "respond.io", "telegram", "openai", "rasa", "discord"})
NAMED = re.compile(r"(?<![a-z])(?:" + "|".join(map(re.escape, NAMES)) + r")(?![a-z])", re.IGNORECASE)
# Where one is named all the same, and why.
ALLOWED = {
    "app/web/rest/": "our REST speaks Twilio's wire form, codes and addresses, whoever is behind it",
}


def sources() -> Iterator[Path]:
    for folder in ("app", "workers"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".lua", ".html", ".js"):
                yield path.relative_to(ROOT)


def names_in(path: Path) -> list[str]:
    """The lines that name one. Identifiers in camel case and with underscores count, too."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", (ROOT / path).read_text()).replace("_", " ")
    return [f"{path}:{n}: {line.strip()}" for n, line in enumerate(text.splitlines(), 1) if NAMED.search(line)]


def test_nothing_outside_names_a_platform() -> None:
    house = [path for path in sources() if not str(path).startswith(("app/platforms/", "app/sandbox/"))]
    assert len(house) > 50
    named = [line for path in house if not str(path).startswith(tuple(ALLOWED)) for line in names_in(path)]
    assert [] == named


@pytest.mark.parametrize("place", ALLOWED)
def test_an_exception_is_needed(place: str) -> None:
    assert any(names_in(path) for path in sources() if str(path).startswith(place))
