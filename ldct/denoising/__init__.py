"""Networks and classical methods applied to test sets."""
