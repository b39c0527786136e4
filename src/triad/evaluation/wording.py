"""The meaning of tasks, metrics and verdicts in a merchant's words. Pure text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triad.config.tasks import TaskParams
from triad.kinds import KINDS, find_metric
from triad.kinds.base import Metric
from triad.tasks import LABELS

SHARES = {"oracle_share"}
"""Figures in percent that are no metric."""

GLOSSARY = {
    "Interval": "where the true value lies with the stated confidence: customers (or the products, queries or messages "
    "that a task is about) were drawn again and again at random and the figure worked out each time. Two figures "
    "differ for sure only where the interval of their difference does not hold zero.",
    "AUC": "how often a case that happened gets a higher score than one that did not; 0.5 is chance, 1 is perfect.",
    "AUC within a customer": "the same, comparing only what one customer saw (GAUC), weighted by what they saw.",
    "Log loss": "how surprised the probabilities were by what happened; less is better.",
    "Calibration error": "how far promised probabilities lie from what came true, on average; 0 is perfect.",
    "Accuracy": "share of answers that were right.",
    "Recall": "share of what happened that the model had said would happen. For a ranking: share of the items taken "
    "next that are in the list.",
    "F1": "one figure for hits against both misses and false alarms, 0 to 1; the bar for saying yes was set earlier.",
    "Macro recall, macro F1": "recall and F1 averaged over the classes, so that a rare class counts as much as a "
    "common one. The naive answer here draws a class at random by its share.",
    "Refusal AUC": "how often a message that one of the known answers fits gets more confidence than one that none "
    "fits; 0.5 is chance, 1 is perfect.",
    "Coverage at 95 % precision": "the largest share of messages that could be answered with 95 of 100 answers right, "
    "were the bar set with hindsight.",
    "Answered, right where answered": "share of messages that it is sure enough to answer, and how many of them "
    "it answers rightly; the bar was set earlier, for 95 of 100. The others go to a person.",
    "Right among the first ten": "share of messages whose answer is among the ten likeliest.",
    "Mean absolute error": "how far off the prediction is, on average, in the unit of what is predicted.",
    "Root mean squared error": "the same with large misses counting more.",
    "Naive error removed": "1 less the model's mean absolute error over that of the naive guess.",
    "NDCG@k": "how near the top of the list the item taken next stands; 1 is always first. The whole catalogue is "
    "ranked, and ties count against the model.",
    "HIT@k": "share of lists of k items that hold the item taken next.",
    "MRR": "1 over the place of the item taken next, on average.",
    "Naive": "what needs no learning: the overall rate, the classes' shares, no change, the most popular items.",
    "Best possible": "the score of a simulated shop's true probabilities: nobody can do better but by luck. For a "
    "ranking it knows which items the shop showed in the hour before, which no list made earlier can know.",
    "Champion, challenger": "the model that serves now, and the one that wants its place.",
    "Fused": "the members' calibrated scores, added up with weights that were learned on days no member saw; the first "
    "items of a list may stand in an order that trees learned on such days.",
    "Cold item, new customer": "an item with hardly an interaction to learn from; a customer with none before.",
}

_VERDICTS = {
    "PASS": ("The new model may serve.", "It is shown to be better, and nothing speaks against it."),
    "FAIL": ("The new model must not serve.", "It is shown to do harm."),
    "INCONCLUSIVE": ("The new model is not shown to be better.", "What serves today stays."),
}

_FIRST = {
    "PASS": (
        "The new model may serve.",
        "It is the first, and on every gated task better than doing without a model.",
    ),
    "FAIL": (
        "The new model must not serve.",
        "On a gated task it is worse than doing without a model, or its probabilities are wrong.",
    ),
    "INCONCLUSIVE": ("The new model is not shown to be useful on every task.", "It is not promoted."),
}
"""Where no model serves yet."""


def meaning(task: TaskParams) -> str:
    """The question a task answers."""
    return LABELS[task.label].question.format(days=task.horizon_days, column=task.column)


def heading(metric: str, k: int) -> str:
    """A metric's name as shown."""
    return _shown(metric).heading(k)


def number(metric: str, value: float) -> str:
    """A figure as shown."""
    return _shown(metric).number(value)


def signed(metric: str, value: float) -> str:
    """A difference as shown."""
    return _shown(metric).signed(value)


def _shown(name: str) -> Metric:
    return find_metric(name) or Metric(name, name, in_percent=name in SHARES)


def sentence(task: TaskParams, figures: Mapping[str, Any], k: int) -> str:
    """A task's main figure in a sentence, from its entry in metrics.json."""
    label = LABELS[task.label]
    text = KINDS[task.kind].sentence(figures, k, label.miss, label.cases)
    return text or "This test window holds too few cases to measure it."


def verdict_words(verdict: Mapping[str, Any]) -> tuple[str, str]:
    """The verdict, as verdict.json holds it, as a headline and why, in a sentence or two."""
    outcome, champion, experiment = verdict["verdict"], verdict["champion"], verdict.get("experiment")
    headline, why = (_VERDICTS if champion is not None else _FIRST)[outcome]
    if experiment is not None:
        why += f" It comes from the experiment {experiment}, which is registered and compared, and promotes nothing."
    return headline, why
