"""Verdicts on the paper's sentences."""
