"""A clock that moves only when told to."""


class HeldClock:
    """A clock that a test sets."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += seconds
