"""A checkpoint → answers about pictures and videos, and why."""
