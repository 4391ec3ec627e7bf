"""Scripts of notebooks/, carried out on a run and shown as pages."""
