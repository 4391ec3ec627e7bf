"""The evaluation protocol behind a published row."""
