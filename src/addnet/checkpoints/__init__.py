"""Checkpoint files: atomic writing and safe reading, for training and for inference."""
