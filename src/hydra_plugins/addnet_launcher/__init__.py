"""Hydra launcher `isolated`: each job of a sweep is an ordinary single run in a process of its own."""
