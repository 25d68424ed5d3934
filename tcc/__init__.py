"""Helpers of the tcc_*.py commands. They take settings as arguments; none reads tcc_config.py."""
