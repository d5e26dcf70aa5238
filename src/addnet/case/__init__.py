"""The case record: what was done with which files and what came of it, as JSON and as a report that can be printed."""
