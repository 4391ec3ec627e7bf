"""From YAML to plain data: settings, cards, stages, and the code behind an output."""
