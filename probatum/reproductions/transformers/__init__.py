"""Transformers under the sanity checks: a study of our own, in the form of the papers.

No paper says whether attribution methods for transformers depend on the trained weights once chance, ceiling and
intervals are counted. Three small transformers are checked: vision transformers that learn digits and ten classes of
Tiny-ImageNet here, and an encoder of sentences. Each is randomized block by block from the output down.

What a claim calls "the paper" is what one would expect of the method from its source.
"""

from probatum.reproductions.base import Paper
from probatum.reproductions.transformers.images import DIGITS, PHOTOGRAPHS
from probatum.reproductions.transformers.sentences import SENTENCES

PAPER = Paper(
    name="transformers",
    title="Transformers under the sanity checks",
    citation="A study of this package; methods of Ali et al. 2022, arXiv:2202.07304, and Achtibat et al. 2024, "
    "arXiv:2402.05602",
    experiments=(DIGITS, PHOTOGRAPHS, SENTENCES),
    module="probatum.reproductions.transformers",
)
