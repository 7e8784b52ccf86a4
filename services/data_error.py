"""What is wrong with a data set: where, what, and how to put it right."""

from __future__ import annotations

from pathlib import Path


class DataError(ValueError):
    """A data set that cannot be used."""

    def __init__(
        self,
        file: Path | str,
        problem: str,
        remedy: str,
        *,
        line: int | None = None,
        row: int | None = None,
        field: str | None = None,
    ) -> None:
        """
        Args:
            file: the file, or the name the data set was asked for by.
            line: of a text file, counted from 1.
            row: of a table or a list, counted from 1.
            field: the column the problem is in.
        """
        place = f", line {line}" if line is not None else f", row {row}" if row is not None else ""
        super().__init__(f"{file}{place}: {problem}; {remedy}")
        self.file = str(file)
        self.line = line
        self.row = row
        self.field = field
        self.problem = problem
        self.remedy = remedy
