"""The fusion's lists over one dataset. What all queries share is arranged once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from triad.arrays import Floats
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.fusion.blends import Blend
from triad.fusion.candidates import Queries
from triad.fusion.reranker import First, Reranker
from triad.fusion.signals import Reading
from triad.kinds.base import Calibration, Kind
from triad.members.chances import Chances, Indexed, Opens, opened
from triad.members.mask_seen import MaskSeen
from triad.members.protocol import Keeper, Member, Retriever


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
    read: Reading | None = None  # `data` arranged already
    index: bool = False  # whether members that can are asked by an approximate index, where a re-ranker orders

    @cached_property
    def reading(self) -> Reading:
        """`data` arranged for the re-ranker."""
        return self.read or Reading.of(self.data)

    def keep(self) -> None:
        """Have members compute once what all queries share. Only where they learn no more."""
        for name in self.needed:
            if isinstance(member := self.members[name], Keeper):
                member.keep(self.data)

    def open(self, queries: Queries, names: Iterable[str] | None = None) -> Callable[[slice], dict[str, Chances]]:
        """What each member that ranks, or each of `names`, says of some of `queries`. All share what is prepared.

        By the thread that asks: what a thread of a pool lets go stays with its process and serves no other.
        """
        if self.reranker is not None:
            self.reading.prepare(queries.moment)
        wanted = self.calibrations if names is None else names
        asked = self.data, queries.users, queries.history, queries.moment
        blocks = {
            name: self._indexed[name](*asked) if name in self._indexed else opened(self._retriever(name), *asked)
            for name in wanted
        }
        return lambda part: {name: of(part) for name, of in blocks.items()}

    def rank(self, queries: Queries) -> Floats:
        """(q, n_items) fused probabilities of the next item."""
        return self.mix(queries, self.open(queries, self.needed)(slice(None)))

    def first(self, queries: Queries, chances: Mapping[str, Chances]) -> First | None:
        """The items at the top of the lists; None without a re-ranker."""
        return None if self.reranker is None else self.reranker.first(self.reading, queries, chances)

    def mix(self, queries: Queries, chances: Mapping[str, Chances]) -> Floats:
        """(q, n_items) what `rank` makes of what the members say of `queries`."""
        calibrated = {
            name: self.kind.calibrate(self.calibrations[name], of.table())
            for name, of in chances.items()
            if self.blend.weighs(name)
        }
        base = self.blend.mix(self.kind, calibrated, queries.history)
        return base if self.reranker is None else self.reranker.rerank(self.reading, queries, chances, base)

    @cached_property
    def _indexed(self) -> dict[str, Opens]:
        """Member → what opens it with its index. Lists without a re-ranker need whole tables, which no index gives."""
        if not self.index or self.mask_seen or self.reranker is None:
            return {}
        able = {name: self.members[name] for name in self.needed}
        return {name: member.indexed(self.data) for name, member in able.items() if isinstance(member, Indexed)}

    def _retriever(self, name: str) -> Retriever:
        member = self.members[name]
        if not isinstance(member, Retriever):
            raise TriadError("it ranks no items", where=f"member {name}", mend="fuse the members again")
        return MaskSeen(member) if self.mask_seen else member
