"""Accuracy against marked events: labels, errors, intervals, metrics and tables."""
