"""The loader of YAML in C, which takes an eighth of the other's time; where PyYAML was built without it, the other."""

try:
    from yaml import CSafeLoader as Loader
except ImportError:
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

__all__ = ["Loader"]
