"""chrF: the F-score of character n-grams (Popović 2015; n to 6, β = 2, without blanks)."""

from __future__ import annotations

from collections import Counter

ORDER, BETA = 6, 2.0


def chrf(said: str, wanted: str) -> float:
    """0 to 100: how much of `wanted` stands in `said`, and how little else."""
    said, wanted = "".join(said.split()), "".join(wanted.split())
    precision = recall = 0.0
    orders = 0
    for order in range(1, ORDER + 1):
        have, need = _grams(said, order), _grams(wanted, order)
        if have and need:
            met = (have & need).total()
            precision += met / have.total()
            recall += met / need.total()
            orders += 1
    if not precision or not recall:
        return 0.0
    precision, recall = precision / orders, recall / orders
    return 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def _grams(text: str, order: int) -> Counter[str]:
    return Counter(text[at : at + order] for at in range(len(text) - order + 1))
