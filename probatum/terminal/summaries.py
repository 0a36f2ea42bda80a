"""What the terminal says of results, after a command wrote them."""

from collections.abc import Sequence

import numpy as np

from probatum.attributions import METHODS
from probatum.errors import ModelError
from probatum.experiments import PresetComparison, SanityResult, Setup
from probatum.metrics import METRICS
from probatum.report import bootstrap_interval
from probatum.report.run import CONTROL
from probatum.report.verdict_table import verdict_key, verdict_rows
from probatum.reproductions import Finding
from probatum.terminal.output import show, show_table


def show_check(setup: Setup, result: SanityResult) -> None:
    """Shows the mean similarity of each method at the last stage, and whether the control did its work."""
    if setup.training is not None:
        show(f"{setup.spec.title} was trained to a test accuracy of {setup.training.best_accuracy:.4f}")
    rows = []
    for method in result.methods:
        cells = []
        for metric in result.metrics:
            # Adding zero turns a rounded −0 into 0.
            interval = bootstrap_interval(result.of(method, metric))
            mean, low, high = (round(float(value[-1]), 2) + 0.0 for value in interval)
            cells.append(f"{mean:.2f} [{low:.2f}, {high:.2f}]")
        rows.append((METHODS[method].title, *cells))
    stage, images = result.stages[-1], len(result.image_names)
    title = (
        f"similarity to the trained model's maps after the last stage, {stage}: mean of {images} images [95 % interval]"
    )
    show_table(title, ("method", *result.metrics), rows, numeric=len(result.metrics))
    if CONTROL in result.methods:
        perfect = all(
            np.allclose(result.of(CONTROL, metric), METRICS[metric].perfect, atol=1e-5) for metric in result.metrics
        )
        if not perfect:
            raise ModelError(
                "the edge detector did not score perfectly at every stage; these results cannot be trusted"
            )
        show("control: the edge detector, which knows no model, scores perfectly at every stage")
    noisy = [row for row in range(len(result.methods)) if np.isfinite(result.ceiling[row]).any()]
    if noisy:
        rows = [
            (METHODS[result.methods[row]].title, *(f"{mean:.2f}" for mean in np.nanmean(result.ceiling[row], axis=-1)))
            for row in noisy
        ]
        title = "noise ceiling: the same for the trained model's own maps under another seed"
        show_table(title, ("method", *result.metrics), rows, numeric=len(result.metrics))
    constant = int((result.constant > 0).sum())
    if constant:
        show(f"{constant} of {result.constant.size} comparisons had a constant map; results.csv marks them")
    show_skipped(setup.skipped)
    if result.failures:
        count, first = len(result.failures), result.failures[0]
        show(f"{count} maps have NaN or infinite values and so no score; failures.csv names them: {first}, ...")
    tested = [row for row, method in enumerate(result.methods) if not METHODS[method].control]
    if tested and not np.isfinite(result.scores[tested]).any():
        raise ModelError(f"not one score exists: all maps of {setup.spec.title} have NaN or infinite values")


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
