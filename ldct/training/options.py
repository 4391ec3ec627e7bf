"""What the workflow needs to know of the engine, without importing PyTorch: that takes seconds."""

# Options of `engine` that may change the last bits of the weights.
CHANGE_BITS = ("compile", "cuda_graphs", "tf32", "fused_optimizer", "deterministic")
