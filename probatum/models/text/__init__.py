"""Sentence classifiers: a small encoder to train, and models of Hugging Face."""

from probatum.models.text.encoder import EmbeddingClassifier, EncoderSizes, TextClassifier
from probatum.models.text.hugging_face import HuggingFaceClassifier, is_classifier, load_text_classifier
from probatum.models.text.model import TextModel, make_text_model
from probatum.models.text.naive_bayes import naive_bayes_start
from probatum.models.text.tokenizer import Encoded, Tokenizer, WordTokenizer
from probatum.models.text.training import TextTraining, pad_ids, text_accuracy, train_text

__all__ = [
    "EmbeddingClassifier",
    "Encoded",
    "EncoderSizes",
    "HuggingFaceClassifier",
    "TextClassifier",
    "TextModel",
    "TextTraining",
    "Tokenizer",
    "WordTokenizer",
    "is_classifier",
    "load_text_classifier",
    "make_text_model",
    "naive_bayes_start",
    "pad_ids",
    "text_accuracy",
    "train_text",
]
