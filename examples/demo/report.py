"""What the demo prints with, and the checks that decide its exit status."""

from __future__ import annotations

from rich.console import Console

__all__ = ["Report"]


class Report:
    """The terminal, and a list of what failed."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.failures: list[str] = []

    def step(self, number: int, title: str) -> None:
        """Begin a step."""
        self.console.print()
        self.console.rule(f"[bold][{number}][/bold] {title}", align="left")

    def say(self, text: object = "") -> None:
        """Print a line or a table."""
        self.console.print(text)

    def plain(self, text: str) -> None:
        """Print text as it is, without markup."""
        self.console.print(text, markup=False)

    def check(self, passed: bool, text: str) -> None:
        """Print what was checked and remember a failure."""
        mark = "[green]✓[/]" if passed else "[bold red]✗[/]"
        self.console.print(f"{mark} {text}")
        if not passed:
            self.failures.append(text)

    @property
    def status(self) -> int:
        """Exit status: 1 where a check failed."""
        return 1 if self.failures else 0
