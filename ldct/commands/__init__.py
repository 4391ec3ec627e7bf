"""The verbs of `python -m ldct`, by concern. Heavy imports happen inside the verbs."""
