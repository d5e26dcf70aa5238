"""Hydra launcher `isolated`: runs each job of a sweep as a single run in a separate process."""
