"""What all pages share: looks, scripts, an icon, and that nothing but their own scripts may run."""

import re
import tomllib
from pathlib import Path

import pytest

import app.sandbox
from app.sandbox import SandboxSettings, create_app
from app.sandbox.home import chat_titles

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
HOUSE = Path(app.sandbox.__file__).parent
KIT = HOUSE.parent / "web" / "static" / "kit"
TOLD = [tomllib.loads(file.read_text()).get("pages", {}) for file in sorted(HOUSE.glob("up/*.toml"))]
PAGES = ("/", "/inspect", *(told.split()[0] for pages in TOLD for told in pages.values()))


@pytest.fixture(params=PAGES)
def page(request, client):
    return client.get(request.param, headers=BROWSER)


def own_addresses(html):
    return {url.partition("#")[0] for url in re.findall(r'(?:href|src)="(/[^"]*)"', html)}


def test_a_page_names_nothing_that_is_not_there(page, client):
    found = own_addresses(page.text)
    assert {"/static/sandbox.css", "/static/kit/look.css", "/static/kit/favicon.svg", "/"} <= found | {"/"}
    assert dict.fromkeys(found, 200) == {url: client.get(url, headers=BROWSER).status_code for url in found}


def test_only_scripts_and_styles_of_its_own_run_on_a_page(page):
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page.text) == []


@pytest.mark.parametrize("name", sorted(one.name for one in KIT.iterdir()))
def test_the_shared_files_are_those_of_the_chat_page(client, name):
    assert client.get(f"/static/kit/{name}").data == (KIT / name).read_bytes()


def test_every_script_asks_only_for_scripts_that_are_there(client):
    for script in (*HOUSE.glob("static/*.js"), *KIT.glob("*.js")):
        folder = "/static/kit" if script.parent == KIT else "/static"
        for wanted in re.findall(r'from "\./(.+?)"', script.read_text()):
            assert client.get(f"{folder}/{wanted}").status_code == 200, (script.name, wanted)


def test_an_address_that_is_no_page_has_an_icon_too(client):
    icon = client.get("/favicon.ico")
    assert (icon.status_code, icon.mimetype) == (200, "image/svg+xml")


def test_the_home_page_has_every_door(client, settings):
    html = client.get("/").text
    doors = {f"{settings.gateway_url}/chat/{name}" for name in chat_titles(settings)} | {
        f"{settings.gateway_url}/readyz",
        *PAGES[1:],
    }
    assert doors <= set(re.findall(r'href="([^"]+)"', html))


def test_every_chat_and_every_page_of_a_stand_in_has_a_door(client):
    channels = tomllib.loads((HOUSE / "patchbay.toml").read_text())["channels"]
    chats = {name for name, values in channels.items() if values["type"] == "webchat"}
    assert chats <= chat_titles(SandboxSettings()).keys()
    html = client.get("/").text
    assert {"/agent", "/flex", "/phone", "/application"} <= set(PAGES)
    for title, told in (one for pages in TOLD for one in pages.items()):
        assert f'<a href="{told.split()[0]}">{title}</a>' in html


def test_the_home_page_says_of_every_stand_in_where_it_is(client):
    html = client.get("/", base_url="http://127.0.0.1:4321").text
    _, *accounts = html.partition('class="accounts"')[2].split("<h3>")
    titles = [one["title"] for one in client.get("/sandbox/faults").get_json()["platforms"]]
    assert titles == [one.partition("<")[0] for one in accounts]
    assert [] == [one for one in accounts if "<dd>http://127.0.0.1:4321/" not in one]


def home_of(chats):
    return create_app(SandboxSettings(chats=chats)).test_client().get("/").text


def test_the_chats_are_those_that_the_gateway_really_has():
    html = home_of('{"help": "Ask <us>"}')
    assert re.findall(r'href="http://127.0.0.1:8000/chat/([^"]+)">', html) == ["help", "help"]  # above, and its door
    assert "Ask &lt;us&gt;" in html
    assert "Try this first" not in html  # it begins in the chat "flex"
    assert "/chat/" not in home_of("{}")
    assert "Write in a chat" not in home_of("{}")


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:5555"])
def test_there_is_a_door_to_flower_where_one_runs(url):
    html = create_app(SandboxSettings(flower_url=url)).test_client().get("/").text
    assert ("Flower" in html) == bool(url)
    assert f'href="{url}"' in html or not url


def test_each_fault_of_each_platform_is_a_button_that_says_whether_it_is_on(client):
    client.put("/sandbox/faults/flex/drops")
    html = client.get("/").text
    assert re.findall(r'aria-pressed="true"[^>]*data-switch="([^"]+)"', html) == ["flex/drops"]
    switches = client.get("/sandbox/faults").get_json()["platforms"]
    wanted = [f"{one['name']}/{fault['name']}" for one in switches for fault in one["faults"]]
    assert wanted == re.findall(r'data-switch="([^"]+)"', html)
    assert [one["title"] for one in switches] == re.findall("<legend>(.+?)</legend>", html)
