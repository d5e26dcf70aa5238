"""Checkpoints as files: written whole, read with care, by training and by whoever asks a detector."""
