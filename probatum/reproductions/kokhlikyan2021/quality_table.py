"""Tables 1 and 2: infidelity and max-sensitivity of global and local IG at every stage, as CSV and Markdown."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

HEADER = ("Layer", "Infid. Global", "Infid. Local", "Max-Sens. Global", "Max-Sens. Local")


def write_quality_table(
    folder: Path,
    name: str,
    stages: Sequence[str],
    scores: Float[np.ndarray, "method metric stage image trial"],
    caption: str,
) -> None:
    """Write `name.csv` and `name.md`: means over images and trials, with "Original" in the first row.

    Args:
        folder: an existing folder.
        name: of the files.
        stages: of the randomization, without the trained network.
        scores: methods global and local, metrics infidelity and max-sensitivity, stages with the trained one first.
            NaN marks an undefined score, which is left out and counted.
        caption: the protocol, written below the Markdown table.
    """
    defined = ~np.isnan(scores)
    counts = defined.sum(axis=(3, 4))
    sums = np.where(defined, scores, 0.0).sum(axis=(3, 4))
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    columns = means.transpose(1, 0, 2).reshape(4, -1)  # metric by metric, global before local
    rows = [(stage, *columns[:, row].tolist()) for row, stage in enumerate(("Original", *stages))]
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows)
    undefined = int((~defined).sum())
    lines = ["| " + " | ".join(HEADER) + " |", "|---|---:|---:|---:|---:|"]
    lines += ["| " + " | ".join([stage, *(f"{value:.4g}" for value in values)]) + " |" for stage, *values in rows]
    lines += ["", caption + (f" {undefined} undefined scores are left out." if undefined else "")]
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
