"""What each container used meanwhile: CPU and memory, from `docker stats`; nothing where there is no Docker."""

import json
import re
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass
class Used:
    """Of one container. ``cpu``: samples in percent of a core; ``most_bytes``: the most memory that was seen."""

    cpu: list[float] = field(default_factory=list)
    most_bytes: int = 0

    @property
    def usual_cpu(self) -> float:
        """The mean of the samples."""
        return sum(self.cpu) / len(self.cpu) if self.cpu else 0.0


class Watch:
    """Samples by container; ``project``: only what begins so."""

    def __init__(self, project: str) -> None:
        self._project = project
        self.used: defaultdict[str, Used] = defaultdict(Used)

    def sample(self) -> None:
        """Look once; takes about two seconds."""
        told = subprocess.run(
            ["docker", "stats", "--no-stream", "--format", "{{json .}}"], capture_output=True, text=True, check=True
        )
        self.take(told.stdout)

    def take(self, told: str) -> None:
        """One line for each container, as the command prints them."""
        for line in told.splitlines():
            one = json.loads(line)
            if not one["Name"].startswith(self._project):
                continue
            used = self.used[one["Name"].removeprefix(self._project).strip("_-").rstrip("1").rstrip("_-")]
            used.cpu.append(float(one["CPUPerc"].rstrip("%")))
            used.most_bytes = max(used.most_bytes, size(one["MemUsage"].split("/")[0].strip()))


def size(text: str) -> int:
    """`12.5MiB` in bytes."""
    found = re.fullmatch(r"([\d.]+)\s*([KMG]?i?B)", text)
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{text!r} is no size")
    return int(float(found[1]) * _UNITS[found[2]])
