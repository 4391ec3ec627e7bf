"""The public scans of the default run."""
