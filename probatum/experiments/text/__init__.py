"""Text classifiers: scores of tokens, and how they change when the classifier is randomized."""
