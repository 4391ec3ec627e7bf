"""Table I beside the published values."""
