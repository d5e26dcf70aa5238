"""Deepfake detection with facial attention masks."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Looks up the version on first access, since the lookup takes as long as importing OmegaConf."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("addnet")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0+unknown"
