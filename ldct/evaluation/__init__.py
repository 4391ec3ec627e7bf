"""Scores computed from predictions; knows nothing of how a method works."""
