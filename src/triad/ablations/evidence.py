"""What a study's outcomes show of a metric: estimates, each made once, and their differences over seeds. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from triad.ablations.compare import Difference, difference, estimates, oriented
from triad.ablations.outcome import Answers, Outcome
from triad.ablations.spec import ALONE, Claim, Study, Unit
from triad.errors import TriadError
from triad.evaluation.assess import FUSED
from triad.statistics.bootstrap import Estimate

Outcomes = Mapping[Unit, Outcome]

BEST = "best"
"""In place of a member's name: the one that is best alone on the fusion window, whichever that is with a seed."""


class Evidence:
    """A study's outcomes, and the estimates made of them, each once."""

    def __init__(self, study: Study, outcomes: Outcomes) -> None:
        params = study.settings(study.reference).evaluate
        self.study, self._outcomes = study, outcomes
        self.resamples, self.confidence, self.seed = params.bootstrap, params.confidence, params.seed
        self._made: dict[tuple[Unit, str, str, str], Estimate] = {}

    def units(self, variant: str, share: float = 1.0) -> list[Unit]:
        """Its units that were run, by seed."""
        return sorted(unit for unit in self._outcomes if (unit.variant, unit.share) == (variant, share))

    def outcome(self, unit: Unit) -> Outcome:
        """What the unit gave."""
        return self._outcomes[unit]

    def variants(self) -> list[str]:
        """Those with outcomes, in the study's order, each followed by its twins taught a task alone."""
        order = list(dict.fromkeys(unit.variant for unit in self.study.units("")))
        here = {unit.variant for unit in self._outcomes}
        return [name for name in order if name in here]

    def answers(self, claim: Claim) -> bool:
        """Whether both sides, as far as they were run, answer the claim's task."""
        return all(
            claim.task in (tasks := self.outcome(unit).tasks) and (model == BEST or model in tasks[claim.task].scores)
            for variant, model in sides(claim.better, claim.than)
            for unit in self.units(variant, claim.share)
        )

    def estimate(self, unit: Unit, task: str, model: str, metric: str) -> Estimate:
        """Turned so that more is better."""
        if model == BEST:
            model = self.outcome(unit).facts["record"][task]["best"]
        key = unit, task, model, metric
        if key not in self._made:
            estimated = estimates(self._answers(unit, task), model, metric, self.resamples, self.seed)
            self._made[key] = oriented(metric, estimated)
        return self._made[key]

    def _answers(self, unit: Unit, task: str) -> Answers:
        answers = self.outcome(unit).tasks
        if task not in answers:
            raise TriadError(f"{unit.variant} does not learn {task!r}", where="claims", mend="name another task")
        return answers[task]

    def alone(self, variant: str, task: str, model: str, metric: str, share: float = 1.0) -> Difference:
        """The metric itself, over seeds."""
        by_seed = [self.estimate(unit, task, model, metric) for unit in self.units(variant, share)]
        return difference(by_seed, self.confidence, self.seed)

    def between(self, better: str, than: str, task: str, metric: str, share: float = 1.0) -> Difference | None:
        """`variant/model` less `variant/model` over the seeds that both have; None where there is none."""
        (left, ours), (right, theirs) = sides(better, than)
        by_seed = {unit.seed: unit for unit in self.units(right, share)}
        pairs = [(unit, by_seed[unit.seed]) for unit in self.units(left, share) if unit.seed in by_seed]
        if not pairs:
            return None
        differences = [self.estimate(a, task, ours, metric) - self.estimate(b, task, theirs, metric) for a, b in pairs]
        return difference(differences, self.confidence, self.seed)


def sides(better: str, than: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """(variant, model) of each, written `variant/model` or `variant`, which means its fused answers.

    A twin taught alone has no member but the network, so that beside it `variant` means the network's.
    """
    left, right = better.partition("/"), than.partition("/")
    model = "finetune" if ALONE in left[0] + right[0] else FUSED
    return (left[0], left[2] or model), (right[0], right[2] or model)
