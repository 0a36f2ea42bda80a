"""Sentences on the page of a sanity check."""

import numpy as np

from probatum.attributions import is_control
from probatum.data import DATASETS
from probatum.data.datasets import data_title
from probatum.experiments.run_folder import Run
from probatum.experiments.tables import count
from probatum.experiments.verdicts import INSENSITIVE, LEAST_IMAGES, SENSITIVE, UNDECIDED, Judgement
from probatum.randomization import PRESETS
from probatum.report.html.words import listed, refusals_in_words, settings, short_name
from probatum.report.question import explains_class

_FEW_IMAGES, _FEW_TRIALS = 10, 3
_NAMED = 5  # images that a warning names
_UNSURE = 0.5  # probability below which a class is uncertain
BADGES = {SENSITIVE: "good", UNDECIDED: "open", INSENSITIVE: "bad"}
ORDERS_IN_WORDS = {
    "cascading": "from the output down, each stage on top of those before",
    "bottom-up": "from the input up, each stage on top of those before",
    "independent": "one at a time, all others as trained",
    "full": "all at once",
    "logit": "nothing; another class is explained",
}


def story(run: Run) -> str:
    """Description of the run, in words."""
    facts, result = run.config["randomization"], run.result
    methods = sum(not is_control(name) for name in result.methods)
    control = " and a control that never uses the model" if methods < len(result.methods) else ""
    source = PRESETS[facts["preset"]].source if facts["preset"] in PRESETS else ""
    order = ORDERS_IN_WORDS.get(facts["order"], facts["order"])
    change = (
        f"Its weights were then randomized in {count(len(result.stages), 'stage')}, {order}, in "
        f"{count(facts['trials'], 'independent trial')}; at every stage each method's maps were compared with those of "
        "the trained model. A method whose maps stay the same does not explain what the model has learnt."
    )
    if explains_class(run.config):
        change = (
            "Then another class was explained with the same weights and the maps of both classes were compared. A "
            "method whose maps stay the same does not explain the class."
        )
    title = run.config["model"]["title"]
    return (
        f"{title[:1].upper()}{title[1:]} was explained on {count(len(result.image_names), 'image')} of "
        f"{short_name(data_title(run.config['data']['name']))} by {count(methods, 'method')}{control}. {change}"
        + (f" Protocol: {source}." if source else "")
    )


def model_warnings(run: Run) -> list[str]:
    """Caveats about the model and the images."""
    config, model, found = run.config["config"], run.config["model"], refusals_in_words(run.config["refused"])
    if config["weights"] == "none":
        found.append("The model was not trained: its weights are random, so there was nothing to explain.")
    elif model.get("test_accuracy") is not None and model["test_accuracy"] < 0.9:
        found.append(
            f"The model reached a test accuracy of only {model['test_accuracy']:.1%}: maps show the little that it has "
            "learned, errors among it."
        )
    # Labels of photographs number their folders, not the model's classes.
    wrong = [image for image in run.config["data"]["images"] if image["label"] not in (None, image["target"])]
    if wrong and config["data"] in DATASETS:
        found.append(
            f"The model misclassifies {count(len(wrong), 'image')} of {len(run.result.image_names)}; what is explained "
            f"there is the predicted class: {listed(image['name'] for image in wrong[:_NAMED])}"
            + (", ..." if len(wrong) > _NAMED else ".")
        )
    unsure = [image for image in run.config["data"]["images"] if image["confidence"] < _UNSURE]
    if unsure and config["data"] not in DATASETS:
        named = [f"{image['name']} ({image['class']}, {image['confidence']:.2f})" for image in unsure[:_NAMED]]
        found.append(
            f"The predicted class is explained, right or wrong. The model is unsure of {count(len(unsure), 'image')} "
            f"of {len(run.result.image_names)}: {listed(named)}" + (", ..." if len(unsure) > _NAMED else ".")
        )
    if LEAST_IMAGES <= len(run.result.image_names) < _FEW_IMAGES:
        found.append(f"{count(len(run.result.image_names), 'image')} only: the intervals are rough.")
    return found


def check_warnings(run: Run, judgement: Judgement | None) -> list[str]:
    """Caveats about the check itself."""
    result, facts = run.result, run.config["randomization"]
    found = list[str]()
    if judgement:
        found += [f"The check is broken: {what}. These results cannot be trusted." for what in judgement.broken]
        found += judgement.notes
    ruled = [facts["title"] for facts in run.config["methods"].values() if "min_coverage" in facts]
    if ruled and run.config["model"]["relu_share"] < 1:
        found.append(
            f"{listed(ruled)} changed a part of the activations alone: {run.config['model']['relu_calls']}. The others "
            "passed the plain gradient."
        )
    constant = int((result.constant > 0).sum())
    if constant:
        counts = zip(result.methods, (result.constant > 0).sum(axis=(1, 2, 3)).tolist(), strict=True)
        which = listed(f"{run.config['methods'][name]['title']} ({number})" for name, number in counts if number)
        found.append(
            f"{count(constant, 'comparison')} of {result.constant.size:,} had a constant map and take no part in "
            f"verdicts, for a rule of the metric sets their score: {which}."
        )
    if dead := len(facts["dead draws"]):
        found.append(
            f"{dead} of {dead + facts['trials']} randomized networks were dead (the same outputs for every image) and "
            "drawn again."
        )
    made = np.repeat(result.made[:, None], len(result.metrics), axis=1)
    missing = int((made & ~np.isfinite(result.scores)).sum())
    if missing:
        found.append(f"{count(missing, 'score')} of {int(made.sum()):,} do not exist and take no part in any mean.")
    if facts["parameters"] != facts["re-drawn"] and not explains_class(run.config):
        found.append(
            f"{facts['re-drawn']:,} of {facts['parameters']:,} parameters were drawn anew; the others kept their "
            "values."
        )
    if facts["trials"] < _FEW_TRIALS:
        found.append(
            "One trial: the curves' intervals do not show how much randomizations differ; the verdicts assume a spread."
            if facts["trials"] == 1
            else f"{facts['trials']} trials: the intervals hold little of how much randomizations differ."
        )
    return found


def setting_of(run: Run) -> list[tuple[str, str]]:
    """Model, images and machine, for the section on the setting."""
    config, model = run.config["config"], run.config["model"]
    kept = {
        "train": "trained for this run",
        "default": "published weights",
        "none": "random, untrained",
        "given": "of the model that was given",
    }
    weights = kept.get(config["weights"]) or f"checkpoint {short_name(config['weights'])}"
    accuracy = model.get("test_accuracy")
    return [
        ("Model", f"{model['title']}, {model['relu_calls']}"),
        ("Weights", weights + (f", test accuracy {accuracy:.2%}" if accuracy is not None else "")),
        ("Explained", model["explained"]),
        ("Hash of the weights", f"SHA-256 {model['weights_sha256']}"),
        ("Images", f"{len(run.result.image_names)} of {data_title(run.config['data']['name'])}"),
        ("Preprocessing", settings(run.config["data"]["preprocessing"])),
        ("Seed", str(run.config["randomization"]["seed"])),
        ("Precision", f"{config['precision']} on {run.config['device']}"),
        ("Software", ", ".join(f"{name} {version}" for name, version in run.config["software"].items())),
    ]


def randomization_of(run: Run) -> list[tuple[str, str]]:
    """Description of the randomization, for the same section."""
    facts = run.config["randomization"]
    return [
        ("Randomization", f"{facts['order']}, preset {facts['preset']}"),
        ("Initializer", settings(facts["initializer"])),
        ("Batch norm", facts["batch_norm"].replace("-", " ")),
        ("Parameters drawn anew", f"{facts['re-drawn']:,} of {facts['parameters']:,}"),
        ("Stages", " → ".join(run.result.stages)),
        ("Trials", str(facts["trials"])),
    ]
