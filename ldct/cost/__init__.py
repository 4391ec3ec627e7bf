"""What a run cost, and short timings."""
