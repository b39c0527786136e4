"""From a user's candidates to the list that is shown: caps, diversity, places for new items. Arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triad.arrays import Bools, Ints
from triad.config.recommend import RecommendParams
from triad.fusion.signals import SHOP
from triad.tracking.recommending import Pairs
from triad.tracking.shelf import Shelf

UNKNOWN = -1
"""The code of an item whose category or brand is not known: it is like no other, and no cap counts it."""

_USERS_AT_ONCE, _CELLS = 8192, 8_000_000
"""Users, and cells of a table of them and items, at most."""


def codes(*texts: np.ndarray) -> Ints:
    """(n, len(texts)) a code for each distinct text of a column, `UNKNOWN` for none."""
    return np.stack([np.where(each == "", UNKNOWN, np.unique(each, return_inverse=True)[1]) for each in texts], axis=1)


@dataclass(frozen=True)
class Lists:
    """Items in the order in which they are shown. (n,) each, by user, then by rank from 1."""

    pairs: Pairs
    rank: Ints
    explored: Bools  # drawn at random, which leaves no score

    @classmethod
    def of(cls, pairs: Pairs, rank: Ints) -> Lists:
        """Nothing in them is explored."""
        return cls(pairs, rank, np.zeros(len(rank), bool))

    def __getitem__(self, part: slice | Ints | Bools) -> Lists:
        return Lists(self.pairs[part], self.rank[part], self.explored[part])

    def arranged(self, groups: Ints, settings: RecommendParams) -> Lists:
        """At most `settings.k` items a user.

        Each place goes to the item with the largest (1 - d) · score - d · likeness that no cap forbids (maximal
        marginal relevance, Carbonell & Goldstein 1998). Scores are scaled to [0, 1] within the user's candidates.
        Likeness is the share of `groups` that the item has in common with the item above that is most like it.

        Args:
            groups: (n_items, 2) `codes` of the broad category and of the brand.
        """
        if not settings.rearranges:
            return self[self.rank <= settings.k]
        starts = np.append(np.flatnonzero(self.rank == 1), len(self.rank))
        blocks = [
            self[int(starts[first]) : int(starts[min(first + _USERS_AT_ONCE, len(starts) - 1)])]._block(
                groups, settings
            )
            for first in range(0, len(starts) - 1, _USERS_AT_ONCE)
        ]
        return _joined(blocks) if blocks else self

    def _block(self, groups: Ints, settings: RecommendParams) -> Lists:
        """`arranged`, of so few users that their candidates fit one array."""
        row, spread = np.cumsum(self.rank == 1) - 1, settings.diversity
        at = np.full((int(row[-1]) + 1, int(self.rank.max())), UNKNOWN)
        at[row, self.rank - 1] = np.arange(len(row))
        left = at >= 0
        score = np.where(left, self.pairs.score[at], np.nan)
        low, high = np.nanmin(score, axis=1, keepdims=True), np.nanmax(score, axis=1, keepdims=True)
        worth = (score - low) / np.where(high > low, high - low, 1)
        group = np.where(left[..., None], groups[self.pairs.item[at]], UNKNOWN)
        held, likeness, user, chosen = np.zeros(group.shape, np.int64), np.zeros(at.shape), np.arange(len(at)), []
        for _ in range(min(settings.k, at.shape[1])):
            pick = np.where(left, (1 - spread) * worth - spread * likeness, -np.inf).argmax(axis=1)
            there = left[user, pick]
            chosen.append(np.where(there, at[user, pick], UNKNOWN))
            same = (group == group[user, pick][:, None]) & (group != UNKNOWN) & there[:, None, None]
            likeness, held = np.maximum(likeness, same.mean(axis=2)), held + same
            left[user[there], pick[there]] = False
            for nth, most in enumerate(_caps(settings)):
                if most is not None:  # of what the list is full of, nothing more
                    full = np.where(group[..., nth] == UNKNOWN, 0, held[..., nth]) >= most
                    left &= ~full
        places = np.stack(chosen, axis=1)
        row, place = np.nonzero(places != UNKNOWN)
        return Lists.of(self[places[row, place]].pairs, place + 1)

    def with_explored(self, new: Ints, groups: Ints, shelf: Shelf, settings: RecommendParams, seed: int) -> Lists:
        """With `settings.new_share` of the `k` places given to items of `new`, drawn at random, spread over the list.

        All that are `drawable` are as likely: no more are drawn than a cap allows. What is too much of a kind beside
        them leaves the list. A user for whom fewer are left keeps more of the list.

        Args:
            new: catalogue rows, ascending.
            groups: as in `arranged`.
            seed: of the draw; with it, a user's list is the same whoever else is asked for.
        """
        (users, starts), places = np.unique(self.pairs.user, return_index=True), _places(settings)
        if not places or not len(new) or not len(users):
            return self
        ends, drawn = np.append(starts[1:], len(self.rank)), []
        step = max(1, min(_CELLS // len(new), _USERS_AT_ONCE))
        for first in range(0, len(users), step):
            some = users[first : first + step]
            free = self[starts[first] : ends[first + len(some) - 1]].drawable(new, shelf)
            luck = np.stack([np.random.default_rng([seed, user]).random(len(new)) for user in some.tolist()])
            luck[~free] = np.inf
            nth = np.argsort(luck, axis=1)[:, :places]
            row, place = np.nonzero(np.isfinite(np.take_along_axis(luck, nth, axis=1)))
            drawn.append((some[row], new[nth[row, place]]))
        user, item = (np.concatenate(part) for part in zip(*drawn, strict=True))
        of = np.searchsorted(users, user)
        extra, stays = np.bincount(of, minlength=len(users)), self
        for most, kind in zip(_caps(settings), groups.T, strict=True):
            if most is not None:
                stays = stays._beside(user, kind[item], kind[stays.pairs.item], most)
        stays = Lists.of(stays.pairs, _nth(stays.pairs.user) + 1)
        stays = stays[stays.rank <= settings.k - extra[np.searchsorted(users, stays.pairs.user)]]
        length = extra + np.bincount(np.searchsorted(users, stays.pairs.user), minlength=len(users))
        nth = np.arange(len(user)) - (np.cumsum(extra) - extra)[of] + 1
        above = -(-nth * length[of] // extra[of]) - nth  # how many that stay stand above the nth that was drawn
        pairs = Pairs(user, item, np.full(len(user), np.nan), np.full(len(user), SHOP, np.int8))
        joined = _joined([stays, Lists(pairs, above, np.ones(len(user), bool))])
        lists = joined[np.lexsort((joined.explored, joined.rank, joined.pairs.user))]
        return Lists(lists.pairs, _nth(lists.pairs.user) + 1, lists.explored)

    def drawable(self, new: Ints, shelf: Shelf) -> Bools:
        """(users, new) what may be drawn for each user who has a list: it is allowed, and not in the list."""
        users, row = np.unique(self.pairs.user, return_inverse=True)
        free, known = shelf.allows(users, new), np.isin(self.pairs.item, new)
        free[row[known], np.searchsorted(new, self.pairs.item[known])] = False
        return free

    def _beside(self, user: Ints, kind: Ints, own: Ints, most: int) -> Lists:
        """The first of each list that make at most `most` of a kind, beside items of `kind` (m,) of `user` (m,).

        Args:
            own: (n,) kinds of the lists' items.
        """
        kinds = int(max(own.max(initial=UNKNOWN), kind.max(initial=UNKNOWN))) + 2
        mine, others = self.pairs.user * kinds + own + 1, np.sort(user * kinds + kind + 1)
        by, above = np.argsort(mine, kind="stable"), np.empty(len(mine), np.int64)
        above[by] = _nth(mine[by])
        above += np.searchsorted(others, mine, side="right") - np.searchsorted(others, mine)
        return self[(own == UNKNOWN) | (above < most)]


def _caps(settings: RecommendParams) -> tuple[int | None, int | None]:
    """In the order of `groups`."""
    return settings.caps.category, settings.caps.brand


def _places(settings: RecommendParams) -> int:
    """For new items: never more than a cap allows."""
    return min([round(settings.new_share * settings.k), *filter(None, _caps(settings))])


def _nth(ordered: Ints) -> Ints:
    """(n,) how many of its equals stand before each of `ordered`, which is ascending."""
    return np.arange(len(ordered)) - np.searchsorted(ordered, ordered)


def _joined(parts: list[Lists]) -> Lists:
    rank, explored = (np.concatenate(column) for column in zip(*((p.rank, p.explored) for p in parts), strict=True))
    return Lists(Pairs.joined([part.pairs for part in parts]), rank, explored)
