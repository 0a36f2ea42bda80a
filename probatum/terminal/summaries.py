"""Printed summaries of results, after a command has written them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from probatum.attributions import is_control, title_of
from probatum.errors import ModelError
from probatum.experiments import Judgement, PresetComparison, Run, judge
from probatum.experiments.draws import Draws
from probatum.experiments.explain import Explanation
from probatum.experiments.rounds import Look
from probatum.report.html.check_words import model_warnings
from probatum.report.html.comparison_answer import ComparisonAnswer
from probatum.report.question import Question, question_of
from probatum.report.scorecard import ROLES, tally
from probatum.report.verdict_table import verdict_key, verdict_rows
from probatum.reproductions import Finding
from probatum.terminal.output import columns, show, show_table
from probatum.terminal.verdict_lines import closing, counted, remedies, verdict_lines, wrapped


def show_check(run: Run) -> None:
    """Shows the verdict on each method, what limits the check, and where its report is."""
    result, model = run.result, run.config["model"]
    for line in round_lines(run):
        show(line)
    if model["test_accuracy"] is not None:
        show(f"{model['title']} was trained to a test accuracy of {model['test_accuracy']:.4f}")
    judgement = judge(result)
    question = question_of(run.config, judgement.stages[-1])
    show_judgement(judgement, question)
    for sentence in (*_limits(run), *judgement.notes):
        show(wrapped(sentence, columns()))
    show_skipped([(each["name"], each["fault"]) for each in run.config["data"]["skipped"]])
    show(wrapped(closing(judgement, question, run.folder), columns()))


def verify_check(run: Run) -> None:
    """Raises ModelError where a control failed, or no score exists."""
    result, broken = run.result, judge(run.result).broken
    if broken:
        raise ModelError(f"{'; '.join(broken)}; these results cannot be trusted")
    tested = [row for row, method in enumerate(result.methods) if not is_control(method)]
    if tested and not np.isfinite(result.scores[tested]).any():
        raise ModelError(
            f"not one score exists: all maps of {run.config['model']['title']} have NaN or infinite values"
        )


def show_explanation(found: Explanation) -> None:
    """Prints the explained class of each image."""
    rows = zip(found.image_names, found.class_names, found.targets, found.confidences, strict=True)
    cells = [(image, name, str(index), f"{confidence:.3f}") for image, name, index, confidence in rows]
    show_table("explained", ("image", "class", "index", "probability"), cells, numeric=2)
    show_skipped(found.skipped)
    if found.failures:
        named = ", ".join(f"{method} of {image}" for image, method in found.failures[:5])
        more = ", ..." * (len(found.failures) > 5)
        show(f"{len(found.failures)} maps have NaN or infinite values; config.json names them: {named}{more}")


def verify_explanation(found: Explanation) -> None:
    """Raises ModelError where a method has no map at all."""
    empty = [method for method, maps in found.maps.items() if not np.isfinite(maps).any()]
    if empty:
        raise ModelError(f"all maps of {', '.join(empty)} have NaN or infinite values")


def show_judgement(judgement: Judgement, question: Question) -> None:
    """Shows one line for each method, and what would decide the open verdicts."""
    width, images, trials = columns(), counted(judgement.images, "image"), counted(judgement.trials, "trial")
    setting = f"{images}, {trials}, last stage {judgement.stages[-1]}."
    shares = f"The share is what is left of a map under {question.change}: 0 nothing, 1 all."
    show(wrapped(f"{question.words} {setting} {shares}", width))
    for line in verdict_lines(judgement, width):
        show(line)
    for sentence in remedies(judgement):
        show(wrapped(sentence, width))


def round_lines(run: Run) -> Iterator[str]:
    """How many images and trials each round of a check had, and what it left to decide."""
    rounds = run.config["rounds"]["looks"] if "rounds" in run.config else []
    looks = [Look(look["images"], look["trials"], tuple(look["undecided"])) for look in rounds]
    for number, look in enumerate(looks, start=1):
        yield f"round {number}: {look.sentence}"
    if looks:
        end = "all images are used" if looks[-1].undecided else "more images would decide nothing else"
        yield f"The check ended because {end}."


def _limits(run: Run) -> Iterator[str]:
    """Caveats about the comparisons, one sentence each."""
    result = run.result
    constant = int((result.constant > 0).sum())
    if constant:
        yield f"{constant} of {result.constant.size} comparisons had a constant map; they count for no verdict"
    yield from partly_guided(run)
    draws = Draws(tuple(run.config["randomization"]["draws"]), tuple(run.config["randomization"]["dead draws"]))
    if draws.dead:
        yield draws.sentence
    if run.config["model"]["explained"] != "logits":
        yield f"explained are the {run.config['model']['explained']}: behind it most maps are empty"
    yield from model_warnings(run)
    for method in dict.fromkeys(each.method for each in result.spent):
        spent = [each for each in result.spent if each.method == method]
        mean, lacking = np.mean([each.points for each in spent]), sum(not each.enough for each in spent)
        yield (
            f"{title_of(method)} took {mean:.1f} gradients a map, {max(each.points for each in spent)} at most; "
            f"{lacking} of {len(spent)} maps are not as good as was asked for; spent.csv names them"
        )
    if result.failures:
        count, first = len(result.failures), result.failures[0]
        yield f"{count} maps have NaN or infinite values and so no score; failures.csv names them: {first}, ..."


def partly_guided(run: Run) -> Iterator[str]:
    """Says where Guided Backprop and its kin changed a part of the model's activations alone."""
    ruled = [facts["title"] for facts in run.config["methods"].values() if "min_coverage" in facts]
    if ruled and run.config["model"]["relu_share"] < 1:
        yield f"{', '.join(ruled)}: {run.config['model']['relu_calls']}; the others pass the plain gradient"


def show_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """Prints the images that were left out."""
    if skipped:
        named = ", ".join(f"{name}: {fault}" for name, fault in skipped[:5]) + ", ..." * (len(skipped) > 5)
        were = "was" if len(skipped) == 1 else "were"
        show(f"{counted(len(skipped), 'image')} cannot be read and {were} left out: {named}")


def show_verdicts(comparison: PresetComparison, answer: ComparisonAnswer, folder: Path) -> None:
    """Shows the table of verdicts, the answer over all checks, and where its report is."""
    show_table("verdicts", *verdict_rows(comparison, columns()))
    for sentence in verdict_key(comparison):
        show(wrapped(sentence, columns()))
    for title, why in answer.disagreements:
        show(wrapped(f"The checks disagree about {title}: {why}.", columns()))
    for sentence in (*answer.detail, f"{answer.verdict} Report: {folder / 'report.html'}"):
        show(wrapped(sentence, columns()))


def verify_comparison(comparison: PresetComparison) -> None:
    """Raises ModelError where a control failed."""
    broken = [preset for preset, judgement in comparison.judgements.items() if judgement.broken]
    if broken:
        raise ModelError(f"a control failed under {', '.join(broken)}; these results cannot be trusted")


def show_findings(findings: Sequence[Finding]) -> None:
    """Shows the scorecard, main results first and self-tests last, and how many claims have which verdict."""
    width = columns()
    for finding in sorted(findings, key=lambda finding: ROLES.index(finding.claim.role)):
        claim = finding.claim
        test = " (self-test)" if claim.role == "self-test" else ""
        show(wrapped(f"{finding.verdict}{test}: {claim.where}, {claim.statement}", width))
        texts = {"paper": claim.paper, "ours": finding.ours, "why": finding.why, "notes": finding.notes}
        for head, text in texts.items():
            if text:
                show(wrapped(f"    {head}: {text}", width))
    show(tally([asdict(finding) for finding in findings]))
