"""Sweeps that belong together: their cells, driven in pieces, and what remains of them in `results/`."""
