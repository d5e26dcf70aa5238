"""Studies: sweeps that belong together, trained cell by cell, with their results kept in `results/`."""
