"""An HTTP service: files in, the answers of `addnet predict` out, as JSON; no file is kept."""
