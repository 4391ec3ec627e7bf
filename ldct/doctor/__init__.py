"""What a machine has and lacks, said before a run needs it."""
