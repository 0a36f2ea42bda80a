"""What the terminal says of results, after a command wrote them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from probatum.attributions import METHODS, Method
from probatum.data import DATASETS
from probatum.engine import relu_coverage
from probatum.errors import ModelError
from probatum.experiments import Judgement, PresetComparison, SanityResult, Setup, Summary, judge
from probatum.experiments.verdicts import INSENSITIVE, SENSITIVE, UNDECIDED
from probatum.report.verdict_table import verdict_key, verdict_rows
from probatum.reproductions import Finding
from probatum.terminal.output import show, show_table


def show_check(setup: Setup, result: SanityResult) -> None:
    """Shows the verdict on each method, and what limits the check."""
    if setup.training is not None:
        show(f"{setup.spec.title} was trained to a test accuracy of {setup.training.best_accuracy:.4f}")
    judgement = judge(result, setup.metrics)
    images, trials = len(result.image_names), result.scores.shape[-1]
    show(
        f"verdicts after the last stage, {result.stages[-1]}, from {_counted(images, 'image')} and "
        f"{_counted(trials, 'trial')}; a small share is good: little of the map is left without the trained weights"
    )
    show_judgement(judgement)
    for sentence in (*_limits(setup, result), *judgement.notes):
        show(sentence)
    show_skipped(setup.skipped)
    if judgement.broken:
        raise ModelError(f"{'; '.join(judgement.broken)}; these results cannot be trusted")
    tested = [row for row, method in enumerate(result.methods) if not METHODS[method].control]
    if tested and not np.isfinite(result.scores[tested]).any():
        raise ModelError(f"not one score exists: all maps of {setup.spec.title} have NaN or infinite values")


def show_judgement(judgement: Judgement) -> None:
    """Shows one line for each method, and how many have which verdict."""
    summaries = judgement.summaries.values()
    titles = [METHODS[each.method].title if each.method in METHODS else each.method for each in summaries]
    width = max(map(len, titles))
    for title, each in zip(titles, summaries, strict=True):
        show(f"  {title:<{width}}  {each.word:<11}  {_share(each)}".rstrip())
    for title, each in zip(titles, summaries, strict=True):
        if each.word == UNDECIDED:
            show(f"{title}: {each.reason}" + (f"; next: {each.remedy}" if each.remedy else ""))
    counts = Counter(each.word for each in summaries)
    found = ", ".join(f"{counts[word]} {word}" for word in (SENSITIVE, INSENSITIVE, UNDECIDED))
    show(f"of {_counted(len(titles), 'method')}, {found} to the weights")


def _share(summary: Summary) -> str:
    """The share retained or the rise of the verdict that decided, short enough for a narrow terminal."""
    verdict = summary.leading
    if not np.isfinite(verdict.value):
        return ""
    value, low, high = (round(number, 2) + 0.0 for number in (verdict.value, verdict.low, verdict.high))
    return f"{'rise' if verdict.kind == 'rise' else 'share'} {value:.2f} [{low:.2f}, {high:.2f}]"


def _limits(setup: Setup, result: SanityResult) -> Iterator[str]:
    """What a reader must know of the comparisons, one sentence each."""
    constant = int((result.constant > 0).sum())
    if constant:
        yield f"{constant} of {result.constant.size} comparisons had a constant map; they count for no verdict"
    yield from partly_guided(setup.methods, setup.model, setup.images)
    if result.draws is not None and result.draws.dead:
        yield result.draws.sentence
    if setup.last_relu is not None:
        yield f"explained are the values before the model's last ReLU, {setup.last_relu}: behind it most maps are empty"
    labels = setup.data.labels
    # Labels of photographs number their folders, not the model's classes.
    if setup.data.name in DATASETS and labels is not None and (wrong := int((labels != setup.targets.cpu()).sum())):
        yield f"the model misclassifies {wrong} of {_counted(len(labels), 'image')}; the predicted class is explained"
    if result.failures:
        count, first = len(result.failures), result.failures[0]
        yield f"{count} maps have NaN or infinite values and so no score; failures.csv names them: {first}, ..."


def partly_guided(methods: Mapping[str, Method], model: nn.Module, images: Tensor) -> Iterator[str]:
    """Says where Guided Backprop and its kin changed a part of the model's activations alone."""
    ruled = [METHODS[name].title for name, method in methods.items() if hasattr(method, "min_coverage")]
    if ruled and (coverage := relu_coverage(model, images)).share < 1:
        yield f"{', '.join(ruled)}: {coverage}; the others pass the plain gradient"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def show_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """Shows which images were left out."""
    if skipped:
        named = ", ".join(f"{name}: {fault}" for name, fault in skipped[:5]) + ", ..." * (len(skipped) > 5)
        show(f"{len(skipped)} images cannot be read and were left out: {named}")


def show_verdicts(comparison: PresetComparison) -> None:
    """Shows the table of verdicts, and whether the controls did their work."""
    columns, rows = verdict_rows(comparison)
    show_table("verdicts", columns, rows)
    for sentence in verdict_key(comparison):
        show(sentence)
    broken = [preset for preset, judgement in comparison.judgements.items() if judgement.broken]
    if broken:
        raise ModelError(f"a control failed under {', '.join(broken)}; these results cannot be trusted")


def show_findings(findings: Sequence[Finding]) -> None:
    """Shows the scorecard."""
    rows = [(f.claim.where, f.claim.statement, f.claim.paper, f.ours, f.verdict, f.why) for f in findings]
    show_table("scorecard", ("where", "claim", "paper", "ours", "verdict", "why"), rows)
