"""Training of one stage: loop, losses, checkpoints."""
