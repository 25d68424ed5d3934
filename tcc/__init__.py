"""Helpers of the tcc_*.py commands: arrays in, arrays out; settings come as arguments."""
