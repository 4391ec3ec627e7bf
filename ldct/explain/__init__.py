"""Where one number comes from, in words."""
