"""Configuration: three TOML files with three owners, read into frozen values, all mistakes at once."""

from gateway.config.loading import (
    GATEWAY,
    PARTNERS,
    POLICY,
    ApplicationTable,
    ConfigurationError,
    Mistake,
    Settings,
    load,
    warnings,
)

__all__ = [
    "GATEWAY",
    "PARTNERS",
    "POLICY",
    "ApplicationTable",
    "ConfigurationError",
    "Mistake",
    "Settings",
    "load",
    "warnings",
]
