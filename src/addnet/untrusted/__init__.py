"""Handles untrusted input: opens files, shows names, checks paths, masks secrets, limits what a process may use."""
