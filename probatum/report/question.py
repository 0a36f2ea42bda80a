"""The question that a check puts to a method, in words: it depends on what the check changes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Question:
    """Parts of sentences about a check.

    Args:
        subject: on what maps should depend, as in "do the maps depend on what the model has learned?".
        cause: what is changed, as in "sensitive to the weights".
        change: into what, as in "the maps survive random weights".
        explained: what a map that survives does not explain.
    """

    subject: str
    cause: str
    change: str
    explained: str

    @property
    def words(self) -> str:
        """The question as a sentence."""
        return f"Do these maps depend on {self.subject}?"


WEIGHTS = Question("what the model has learned", "the weights", "random weights", "the model")
CLASS = Question("the class that is explained", "the class", "another class", "the class")


def explains_class(config: dict[str, Any]) -> bool:
    """Tells from `config.json` whether a check explains another class and leaves the weights alone."""
    return bool(config["randomization"]["order"] == "logit")


def question_of(config: dict[str, Any], last: str) -> Question:
    """The question of a check, from its `config.json`.

    Args:
        config: of the run.
        last: name of the last stage, at which verdicts are reached.
    """
    if explains_class(config):
        return CLASS
    if config["randomization"]["order"] == "independent":
        return Question(f"what {last} has learned", f"the weights of {last}", f"random weights in {last}", last)
    return WEIGHTS
