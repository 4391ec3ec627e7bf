"""Control predictions, and what they do to every metric."""
