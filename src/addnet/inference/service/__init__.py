"""An HTTP service: files in, the answers of `predict` out, as JSON; nothing is kept."""
