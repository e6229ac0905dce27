"""What every table of the configuration shares: unknown settings are mistakes, durations are written like ``"4h"``."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

EXPECTED = 'write a duration as a number of seconds or like "30s", "15m", "4h", "30d"'
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(value: object) -> object:
    """A duration of the files (``"4h"``, ``"15m"``, ``900``) in seconds; ``ValueError`` says what is expected."""
    if isinstance(value, bool):
        raise ValueError(EXPECTED)
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", value.strip())
        if not match:
            raise ValueError(EXPECTED)
        return float(match[1]) * _UNITS_S[match[2]]
    return value


ClassWord = Literal["public", "internal", "personal", "sensitive", "restricted"]
Problem = tuple[tuple[str, ...], str, str]
"""Path of the setting, name of the rule, what to do."""

Duration = Annotated[float, BeforeValidator(seconds), Field(ge=0, allow_inf_nan=False)]


class Table(BaseModel):
    """A table of one of the files."""

    model_config = ConfigDict(extra="forbid", frozen=True)
