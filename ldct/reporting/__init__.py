"""Tables, figures and pages rendered from scores and predictions."""
