"""The case record: files, how they were examined, and the results, as JSON and as a report that can be printed."""
