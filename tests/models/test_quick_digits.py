import pytest

from probatum.data import load_dataset
from probatum.models import QUICK_DIGITS, load_model, train


@pytest.mark.long
def test_the_basic_cnn_learns_the_rendered_digits():
    training, test = load_dataset("digits", "train"), load_dataset("digits", "test")
    model = load_model("basic_cnn", "none")
    report = train(model, training.images, training.labels, test.images, test.labels, QUICK_DIGITS)
    assert report.best_accuracy >= 0.98
