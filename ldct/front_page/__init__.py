"""One page that shows a run: the first that a reader opens."""
