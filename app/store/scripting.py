"""What a server is told of the scripts (`scripts/*.lua`): once, as a library of functions, which it keeps and gives to
its replicas; or one by one, where it knows no functions (before 7.0) or lets us make none.

As functions they take about a fifth less of its time, since of a script all is made anew with each call.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from importlib import resources

SCRIPTS = (
    *("accept", "append", "report", "thread", "work", "following", "remember", "sweep"),
    *("dead_letter", "replay", "discard", "trim", "take", "consent", "cancel", "rewrite", "price", "declare", "forget"),
)
BASE = "base"  # the part with which every script begins
USES = "-- uses: "  # begins the first line of a script or part that needs others
EVEN_IF_FULL = "even_if_full"  # the part that is no part of a library, where functions say it by a flag

AS_SCRIPT = """
local function each_call(start) start() end
begin(KEYS, ARGV)
"""
AS_LIBRARY = """
local starts = {}
local function each_call(start) starts[#starts + 1] = start end
"""
FUNCTION = """
server.register_function{function_name = '%s', flags = {%s}, callback = function(KEYS, ARGV)
begin(KEYS, ARGV)
for n = 1, #starts do starts[n]() end
%s
end}
"""


@cache
def text_of(script: str) -> str:
    """A script by itself: the parts that it uses, each once and behind those that it uses itself, then its own text.
    There is no more in it than it needs."""
    texts = texts_of(script)
    return texts.pop(_part(BASE)) + AS_SCRIPT + "".join(texts.values())


@cache
def script(name: str) -> tuple[str, str]:
    """The text of a script, and the hash by which a server knows it."""
    text = text_of(name)
    return text, sha1(text.encode()).hexdigest()  # noqa: S324 - which hash is Redis's choice


def texts_of(script: str) -> dict[str, str]:
    """The files that it is made of, one by one, named by their paths."""
    found: dict[str, str] = {}
    _gather(_part(BASE), found)
    _gather(script, found)
    return found


@cache
def library() -> tuple[str, str]:
    """The name of the library of all scripts, and its text. A version's library has a name of its own, so that several
    run side by side; the functions in it are `NAME_SCRIPT`."""
    texts = {file: text for script in SCRIPTS for file, text in texts_of(script).items()}
    base = texts.pop(_part(BASE))
    parts = "".join(text for file, text in texts.items() if file not in (*SCRIPTS, _part(EVEN_IF_FULL)))
    written = base + AS_LIBRARY + parts + FUNCTION + "".join(texts[script] for script in SCRIPTS)
    name = f"patchbay_{sha1(written.encode()).hexdigest()[:12]}"  # noqa: S324 - a name, no signature
    functions = (
        FUNCTION % (f"{name}_{script}", "'allow-oom'" if EVEN_IF_FULL in uses(texts[script]) else "", texts[script])
        for script in SCRIPTS
    )
    return name, f"#!lua name={name}\nlocal server = redis\n{base}{AS_LIBRARY}{parts}{''.join(functions)}"


def uses(text: str) -> list[str]:
    """The parts that a script or part names in its first line."""
    first = text.partition("\n")[0]
    return first.removeprefix(USES).split() if first.startswith(USES) else []


def _part(name: str) -> str:
    return f"parts/{name}"


def _gather(file: str, into: dict[str, str]) -> None:
    if file not in into:
        text = (resources.files("app.store") / "scripts" / f"{file}.lua").read_text()
        for part in uses(text):
            _gather(_part(part), into)
        into[file] = text
