"""Experiments: rivals on the same people, folds, seeds and budgets."""
