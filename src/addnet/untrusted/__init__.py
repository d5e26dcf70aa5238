"""What strangers send: files to open, names to show, places below a root, secrets to mask, bounds of a process."""
