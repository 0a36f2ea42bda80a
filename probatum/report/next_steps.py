"""What would decide the undecided methods of a check, and the options that ask for it."""

from collections.abc import Iterator
from dataclasses import dataclass

from probatum.experiments.verdicts import LEAST_IMAGES, MORE, MORE_IMAGES, MORE_TRIALS, UNDECIDED, Judgement, Summary


@dataclass(frozen=True)
class NextStep:
    """One remedy and the methods that it is for.

    Args:
        remedy: what would decide, in words.
        options: of the command that asks for it, with numbers that suit the run.
        methods: names.
    """

    remedy: str
    options: tuple[str, ...]
    methods: tuple[str, ...]


def next_steps(judgement: Judgement) -> Iterator[NextStep]:
    """What would decide the undecided methods, one step for all that need the same."""
    undecided = [each for each in judgement.summaries.values() if each.word == UNDECIDED and each.remedy]
    needs = {each.method: (each.remedy, remedy_options(judgement, each)) for each in undecided}
    for need in dict.fromkeys(needs.values()):
        yield NextStep(*need, tuple(name for name, its in needs.items() if its == need))


def remedy_options(judgement: Judgement, summary: Summary) -> tuple[str, ...]:
    """The options that the remedy of a method asks for; () where no option does."""
    images, trials = judgement.wanted(summary) or (4 * judgement.images, max(5, 3 * judgement.trials))
    options = {
        MORE_IMAGES: (f"--images {4 * LEAST_IMAGES}",),
        MORE: (f"--images {images}", f"--trials {trials}"),
        MORE_TRIALS: (f"--trials {trials}",),
    }
    return options.get(summary.remedy, ())
