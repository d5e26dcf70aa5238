"""Degradations of images, each implemented once, for training and for the robustness ladder alike."""
