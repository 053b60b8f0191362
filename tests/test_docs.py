"""The pages: every link leads somewhere, every example is valid, every key is on its page."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema

from app.config.schema import ChecksSchema, GatewaySchema, check
from app.core.settings import CallLimitsSchema, PlatformSchema
from app.egress import EgressSchema
from app.platforms.channel import ChannelSchema
from app.platforms.consent import ConsentSchema
from app.platforms.destination import DestinationSchema
from app.platforms.registry import BUILT_IN, channel_class, destination_class

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
}
CODE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
RUN_ELSEWHERE = {"docs/tutorial.md": "tests/journeys/test_tutorial.py"}  # pages whose commands run as they stand
PAGE_OF = {"flex_chat": "flex", "flex_conversations": "flex"}  # types that share a page

# What the examples on the pages leave to the reader.
ENVIRONMENT = {
    "BACKEND_SECRET": "whsec_" + "QQ" * 16,
    "CHAT_SECRET": "a secret of 32 characters or more",
    "BOT_ASSISTANT_SID": "UA" + "1" * 32,
    "FLEX_SERVICE_SID": "IS" + "1" * 32,
    "FLEX_WORKSPACE_SID": "WS" + "1" * 32,
    "FLEX_WORKFLOW_SID": "WW" + "1" * 32,
    "FLEX_FLOW_SID": "FO" + "1" * 32,
    "SANDBOX_AUTOPILOT_URL": "http://127.0.0.1:8001/autopilot",
    "SANDBOX_AUTOPILOT_ASSISTANT_SID": "UA" + "1" * 32,
}
WORLD = """
[gateway]
public_url = "https://gw.example.test"
redis_url = "redis://127.0.0.1:6379/0"
[channels.backend]
type = "webhook"
secrets = ["env:BACKEND_SECRET"]
send_url = "https://backend.example.test/patchbay"
destination = "helper"
[channels.shop]
type = "webchat"
secrets = ["env:CHAT_SECRET"]
destination = "helper"
[destinations.helper]
type = "autopilot"
base_url = "https://bot.example.test"
account_sid = "env:BOT_ACCOUNT_SID"
auth_token = "env:BOT_TOKEN"
assistant_sid = "env:BOT_ASSISTANT_SID"
[destinations.desk]
type = "respondio"
webhook_url = "https://app.respond.io/custom/channel/webhook/"
channel_id = "env:RESPONDIO_CHANNEL_ID"
api_token = "env:RESPONDIO_TOKEN"
"""


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", CODE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def links() -> Iterator[tuple[str, str]]:
    for name, text in PAGES.items():
        for target in LINK.findall(CODE.sub("", text)):
            yield name, target


@pytest.mark.parametrize(("page", "target"), [link for link in links() if "://" not in link[1]])
def test_a_link_leads_somewhere(page: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    where = (ROOT / page).parent / path if path else ROOT / page
    assert where.exists()
    if anchor:
        assert anchor in anchors(where.read_text())


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, ahead = set[str](), ["README.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached and page in PAGES:
            reached.add(page)
            found = [target.partition("#")[0] for name, target in links() if name == page and "://" not in target]
            paths = [str(((ROOT / page).parent / path).resolve().relative_to(ROOT)) for path in found if path]
            ahead += [*paths, *(name for name in PAGES if str(Path(name).parent) in paths)]  # a folder lists its pages
    assert set(PAGES) == reached


def blocks(kind: str) -> list[tuple[str, str]]:
    return [(name, body) for name, text in PAGES.items() for _, found, body in CODE.findall(text) if found == kind]


@pytest.mark.parametrize(
    ("page", "block"), blocks("toml"), ids=[f"{name}-{n}" for n, (name, _) in enumerate(blocks("toml"))]
)
def test_an_example_is_valid(page: str, block: str) -> None:
    """Beside what it leaves out: a gateway, somebody who answers."""
    raw = merged(tomllib.loads(WORLD), tomllib.loads(re.sub(r"^   ", "", block, flags=re.MULTILINE)))
    names = set(re.findall(r'"env:(\w+)"', WORLD + block))
    check(raw, {name: ENVIRONMENT.get(name, "AC" + "1" * 32) for name in names})


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    tables = {name: merged(one[name], value) for name, value in other.items() if isinstance(one.get(name), Mapping)}
    return {**one, **other, **tables}


@pytest.mark.parametrize("page", sorted({name for name, _ in blocks("console")}))
def test_commands_that_claim_to_work_are_run(page: str) -> None:
    assert page.removeprefix("docs/") in (ROOT / RUN_ELSEWHERE[page]).read_text()


def keys(schema: type[Schema]) -> set[str]:
    return {field.data_key or name for name, field in schema().fields.items()}


def rows(page: str, heading: str) -> set[str]:
    """The keys in the tables below a heading, up to the next one."""
    section = re.split(rf"^{re.escape(heading)}$", PAGES[page], flags=re.MULTILINE)[1]
    return set(ROW.findall(re.split(r"^#", section, flags=re.MULTILINE)[0]))


COMMON: dict[str, set[str]] = {
    "## Every channel and destination": keys(PlatformSchema),
    "## `[gateway]`": keys(GatewaySchema) - {"limits", "egress", "redis_checks"},
    "## `[channels.NAME]`": keys(ChannelSchema) - keys(PlatformSchema),
    "## `[destinations.NAME]`": keys(DestinationSchema) - keys(PlatformSchema),
    "### `[gateway.limits]`": keys(CallLimitsSchema),
    "### `[gateway.egress]`": keys(EgressSchema),
    "### `[gateway.redis_checks]`": keys(ChecksSchema),
    "### `[channels.NAME.consent]`": keys(ConsentSchema),
}


@pytest.mark.parametrize(("heading", "expected"), COMMON.items(), ids=COMMON)
def test_every_common_key_is_on_the_page(heading: str, expected: set[str]) -> None:
    assert expected == rows("docs/configuration.md", heading)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_key_of_a_platform_is_on_its_page(name: str) -> None:
    kind, _, type_ = name.partition(".")
    common: type[Schema] = ChannelSchema if kind == "channel" else DestinationSchema
    own = keys((channel_class if kind == "channel" else destination_class)(type_).Settings) - keys(common)
    page = f"docs/platforms/{PAGE_OF.get(type_, type_)}.md"
    assert own == {key for key in own if f"`{key}`" in PAGES[page].partition("## Keys")[2]}


@pytest.mark.parametrize("page", ["README.md", "docs/README.md"])
def test_every_platform_is_in_the_tables(page: str) -> None:
    rows = re.findall(r"^\| (\[.*?\]\(\S+\)) \| (channel|destination) \|", PAGES[page], re.MULTILINE)
    assert sorted(BUILT_IN) == sorted(
        f"{kind}.{type_}" for names, kind in rows for type_ in re.findall("`(.*?)`", names)
    )


@pytest.mark.parametrize("page", [name for name in PAGES if name.startswith("docs/platforms/")])
def test_a_platforms_page_says_what_a_reader_looks_for(page: str) -> None:
    for heading in ("## Setting up", "## What it promises", "## Keys"):
        assert f"\n{heading}\n" in PAGES[page]


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) < 150
