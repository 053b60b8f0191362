"""The receiver's paths are compiled once for all tests of a process: that is what making a receiver takes long for."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import pytest
from werkzeug.routing import Map, RuleFactory

from app.web import Receiver


class OneMap(Map):
    """Takes each rule once, whoever adds it again; every receiver has the same ones, and views of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[Hashable] = set()

    def add(self, rulefactory: RuleFactory) -> None:
        for rule in rulefactory.get_rules(self):
            name = (rule.rule, rule.endpoint, frozenset(rule.methods or ()))
            if name not in self._known:
                self._known.add(name)
                super().add(rule)


@pytest.fixture(scope="session", autouse=True)
def paths_once() -> Iterator[None]:
    paths = OneMap()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Receiver, "url_map_class", staticmethod(lambda **_: paths))
        yield
