"""What this customer takes again and again: the rule that a shop would write by hand, with its dials chosen.

Each interaction counts by its age (personal frequency with decay, as in next-basket work: Hu et al. 2020,
doi:10.1145/3397271.3401066). The look-back, the half-life, the power of the scores and the share that the popular have
are chosen as those of other linear members.
"""

from __future__ import annotations

from scipy.sparse import csr_array, eye_array

from triad.arrays import Ints
from triad.config.members import Recipe
from triad.members.bench import Bench
from triad.members.linear import Linear

MEMBERS = Recipe(
    "own_history", "OwnHistory", ("Retriever",), "similarity", ("similarity",), "similarity.linear.members"
)


class OwnHistory(Linear):
    """A linear member by which an item leads to itself alone, also one that was unknown when it was fitted."""

    @classmethod
    def make(cls, bench: Bench, name: str) -> OwnHistory:
        """Of the history alone."""
        member = cls.fit(bench.data, _itself(len(bench.data.items.item_id)), bench.params.similarity)
        assert isinstance(member, OwnHistory)
        return member

    def refit(self, bench: Bench, name: str) -> Linear:
        """Shares of all days; what was chosen stays."""
        return self.relearned(bench.data, _itself(len(bench.data.items.item_id)))

    def _aligned(self, place: Ints) -> csr_array:
        return _itself(len(place))


def _itself(items: int) -> csr_array:
    return csr_array(eye_array(items, format="csr"))
