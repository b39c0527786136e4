"""Members: each answers a protocol, and says by its class which."""

from __future__ import annotations

import importlib

import pytest

from triad.members.protocol import Generator, Retriever, RowScorer
from triad.members.registry import MEMBERS

SCORERS = {"finetune", "similarity", "item_knn", "profile", "informed", "logistic", "popularity"}
RETRIEVERS = {"pretrain", "similarity", "item_knn", "transitions", "ease", "successors", "attributes", "popularity"}


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_answers_a_protocol_and_can_be_kept(name: str) -> None:
    module, _, kind = MEMBERS[name].partition(":")
    member = getattr(importlib.import_module(module), kind)
    parts = {"RowScorer": ("predict",), "Retriever": ("rank",), "Generator": ("generate",)}
    answered = {word for word, methods in parts.items() if all(hasattr(member, each) for each in methods)}
    assert answered == {
        word
        for word, names in (("RowScorer", SCORERS), ("Retriever", RETRIEVERS), ("Generator", set()))
        if name in names
    }
    assert answered and hasattr(member, "save") and hasattr(member, "load")


def test_what_lacks_a_part_answers_none() -> None:
    class Half:
        def predict(self) -> None: ...

    assert not any(isinstance(Half(), protocol) for protocol in (RowScorer, Retriever, Generator))
