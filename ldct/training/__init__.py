"""One stage: loop, steps, losses, critics, checkpoints."""
