"""check-method and new-method, and the templates."""
