"""A check in rounds, which ends when every verdict is decided: images and randomizations are added until then.

Every round after the first computes what verdicts still need: the methods that are undecided, at the last stage. A
method that is decided keeps the verdict of the round that decided it, whatever the others take.

Looking at an interval again and again makes errors likelier: of intervals that each miss the truth in 5 % of all
checks, one of five misses it in up to 25 %. The number of looks K is fixed beforehand, and the error is spent on them
in equal parts: every interval has the level 1 − 0.05 / K. As far as each keeps its level, those of one method and
metric hold at all looks together with probability 0.95, whatever the dependence between looks and whenever the check
ends. Nothing is corrected for the number of methods and metrics.

Intervals of few trials keep their level only where randomizations differ little. Of 300 simulated checks of four looks
(10, 20, 40 and 80 images under 2, 4, 8 and 16 trials, standard deviations of 0.1 between images and 0.05 of the rest),
8 missed the truth at some look where the shares of randomizations differ by a standard deviation of 0.02, 12 at 0.05
and 29 at 0.1 (tests/experiments/test_rounds.py); 15 may. Fixed numbers of images and 8 trials or more are safer there.

Source: spending of the error over looks, Lan & DeMets, "Discrete sequential boundaries for clinical trials", Biometrika
70(3), 1983; equal parts by Bonferroni's inequality. Confidence sequences (Howard et al. 2021, arXiv:1810.08240;
Waudby-Smith & Ramdas 2024, arXiv:2010.09686) allow any number of looks, but for means of bounded values, and a share
retained is neither a mean nor bounded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from probatum.experiments.result import LEVEL
from probatum.experiments.verdicts import Judgement, judge, needs_more
from probatum.progress import Progress
from probatum.runs.cells import CellStore
from probatum.runs.ranks import ALONE, Ranks

if TYPE_CHECKING:
    from probatum.experiments.sanity import SanityWork

FIRST_IMAGES, FIRST_TRIALS = 10, 2


@dataclass(frozen=True)
class Round:
    """How much of a check is done after a round.

    Args:
        images: so many of the first ones.
        trials: so many randomizations of each.
    """

    images: int
    trials: int

    def holds(self, stop: int, trial: int | None) -> bool:
        """True if the images before `stop` are part of it, and the trial, if it is one."""
        return stop <= self.images and (trial is None or trial < self.trials)


@dataclass(frozen=True)
class Look:
    """What was found after a round.

    Args:
        images: as of the round, like the trials.
        trials: randomizations.
        undecided: names of the methods that more images or trials may decide.
    """

    images: int
    trials: int
    undecided: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What was done and what is left to decide."""
        left = ", ".join(self.undecided) or "nothing"
        return f"{self.images} images, {self.trials} trials: undecided {left}"


def rounds_of(images: int, trials: int) -> tuple[Round, ...]:
    """10 images under 2 randomizations, then twice as many of both, until there are all.

    A last round of fewer than 10 images joins the one before.
    """
    sizes = [min(FIRST_IMAGES, images)]
    while sizes[-1] < images:
        sizes.append(min(2 * sizes[-1], images))
    if len(sizes) > 1 and sizes[-1] - sizes[-2] < FIRST_IMAGES:
        del sizes[-2]
    counts = [min(trials, FIRST_TRIALS * 2**number) for number in range(len(sizes))]
    counts[-1] = trials
    return tuple(Round(*each) for each in zip(sizes, counts, strict=True))


def level_of(looks: int) -> float:
    """The level of every interval, of so many looks at most."""
    return 1 - (1 - LEVEL) / looks


def undecided(judgement: Judgement, *, more_trials: bool) -> tuple[str, ...]:
    """The methods that more images may decide, or where they are to be had, more trials."""
    return tuple(name for name, each in judgement.summaries.items() if needs_more(each, trials=more_trials))


def compute_until_decided(
    work: "SanityWork",
    store: CellStore,
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
    say: Callable[[str], None] | None = None,
) -> tuple["SanityWork", tuple[Look, ...]]:
    """Computes and stores round after round, until no verdict is left that more images or trials may decide.

    A round computes the methods that the one before it left undecided; after the first, at the last stage alone.

    Returns:
        the part of the work that was done, and what was found after each round.
    """
    looks, stopped = list[Look](), dict[str, Round]()
    rounds: Sequence[Round] = work.rounds
    for each in rounds:
        part = replace(work.within(each), stopped=dict(stopped))
        part.compute(store, progress, ranks, say if not looks else None)
        ranks.barrier()
        found = judge(part.gathered(store), work.metrics)
        left = undecided(found, more_trials=work.trials > 1)
        looks.append(Look(each.images, each.trials, tuple(name for name in left if name not in stopped)))
        if say is not None:
            say(f"round {len(looks)} of at most {len(rounds)}: {looks[-1].sentence}")
        if not looks[-1].undecided:
            break
        stopped |= {name: each for name in work.methods if name not in (*looks[-1].undecided, *stopped)}
    return part, tuple(looks)
