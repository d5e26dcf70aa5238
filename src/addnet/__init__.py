"""Deepfake detection experiments with facial attention masks."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """The version, looked up when it is asked for: the look-up takes as long as the import of OmegaConf."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("addnet")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0+unknown"
