"""Members by name: the class of each, which is imported when it is asked for.

The stage `fuse` itself makes three: `popularity`, `logistic`, and `item_knn`, which it takes from `similarity`.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from triad.members.protocol import Member

MEMBERS = {
    "finetune": "triad.members.network:NetworkScorer",
    "pretrain": "triad.members.sequence:Sequence",
    "similarity": "triad.members.item_similarity:Similarity",
    "item_knn": "triad.members.item_similarity:Similarity",
    "transitions": "triad.members.linear:Linear",
    "ease": "triad.members.linear:Linear",
    "successors": "triad.members.linear:Linear",
    "attributes": "triad.members.linear:Linear",
    "profile": "triad.members.trees:Profile",
    "informed": "triad.members.stacked_trees:Informed",
    "logistic": "triad.members.logistic:Logistic",
    "popularity": "triad.members.popularity:Popularity",
}
"""Named by text, so that asking for one imports no other's framework."""


def load_member(name: str, folder: Path) -> Member:
    """The member called `name` from the folder its stage wrote."""
    module, _, kind = MEMBERS[name].partition(":")
    member: Member = getattr(importlib.import_module(module), kind).load(folder)
    return member
