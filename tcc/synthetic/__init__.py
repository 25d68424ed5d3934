"""Synthetic skaters: the body, its jumps, the camera and the rink."""
