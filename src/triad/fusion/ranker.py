"""The fusion's lists over one dataset. What all queries share is arranged once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from triad.arrays import Floats
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.fusion.blends import Blend
from triad.fusion.candidates import Queries
from triad.fusion.reranker import Reranker
from triad.fusion.signals import Reading
from triad.kinds.base import Calibration, Kind
from triad.members.mask_seen import MaskSeen
from triad.members.protocol import Member, Retriever


@dataclass(frozen=True)
class Ranker:
    """Members that rank the catalogue of `data`, and how their lists become one."""

    data: Dataset
    members: Mapping[str, Member]
    kind: Kind
    calibrations: Mapping[str, Calibration]
    blend: Blend
    needed: tuple[str, ...]  # the members that the one list is made of
    reranker: Reranker | None
    mask_seen: bool

    @cached_property
    def _reading(self) -> Reading:
        return Reading.of(self.data)

    def rank(self, queries: Queries) -> Floats:
        """(q, n_items) fused probabilities of the next item."""
        return self.mix(queries, self.alone(queries, self.needed))

    def alone(self, queries: Queries, names: Iterable[str] | None = None) -> dict[str, Floats]:
        """(q, n_items) probabilities of each member that ranks, or of `names`, as the member gives them."""
        return {
            name: self._retriever(name).rank(self.data, queries.users, queries.history)
            for name in (self.calibrations if names is None else names)
        }

    def mix(self, queries: Queries, scores: Mapping[str, Floats]) -> Floats:
        """What `rank` makes of `alone`."""
        weighs = {name for part in self.blend.weights for name, weight in part.items() if weight > 0}
        calibrated = {
            name: self.kind.calibrate(self.calibrations[name], values)
            for name, values in scores.items()
            if name in weighs
        }
        base = self.blend.mix(self.kind, calibrated, queries.history)
        return base if self.reranker is None else self.reranker.rerank(self._reading, queries, scores, base)

    def _retriever(self, name: str) -> Retriever:
        member = self.members[name]
        if not isinstance(member, Retriever):
            raise TriadError("it ranks no items", where=f"member {name}", mend="fuse the members again")
        return MaskSeen(member) if self.mask_seen else member
