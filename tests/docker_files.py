"""The files of `docker/` as the tests read them."""

from pathlib import Path
from typing import Any

import yaml

DOCKER = Path(__file__).parents[1] / "docker"


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    """A compose file with its anchors resolved."""
    found = yaml.safe_load((DOCKER / name).read_text())
    assert isinstance(found, dict)
    return found
