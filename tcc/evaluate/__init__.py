"""Accuracy against marked events: labels, errors, intervals, metrics, leak tests and tables."""
