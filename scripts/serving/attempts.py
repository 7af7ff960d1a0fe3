"""What a server that starts is waited for, and what became of the last attempt to see it. Knows no servers."""

from dataclasses import dataclass

from facade.background import reason


@dataclass
class Attempts:
    """`awaited`: what has to happen, with its address. `last`: how the last attempt failed."""

    awaited: str
    last: str = "no attempt has ended yet"

    def failed(self, error: Exception) -> None:
        """Remember the error of an attempt, with the notes that it carries for operators."""
        self.last = "; ".join([reason(error), *getattr(error, "__notes__", ())])

    def __str__(self) -> str:
        return f"waiting for {self.awaited}; last attempt: {self.last}"
