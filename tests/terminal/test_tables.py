"""Tables look as rich draws them, and every line fits the terminal."""

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from probatum.terminal.tables import ASCII, table_lines

HEADS = ("name", "title", "score", "±")
ROWS = [("gradient", "Gradient, Simonyan et al.", "0.93", "0.1"), ("縦の線", "e\u0301tude\nin two lines", "-12.5", "1")]


def drawn(width: int, **options) -> list[str]:
    lines = table_lines("scores", HEADS, ROWS, numeric=2, width=width, **options)
    return [re.sub(r"\x1b\[\d*m", "", line) for line in lines]


def test_a_table_that_fits_is_that_of_rich():
    table = Table(title="scores", title_justify="left")
    for column, head in enumerate(HEADS):
        table.add_column(head, justify="right" if column >= 2 else "left", overflow="fold", no_wrap=column >= 2)
    for row in ROWS:
        table.add_row(*row)
    console = Console(file=io.StringIO(), width=80)
    console.print(table)
    assert drawn(80) == [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 45, 34, 28])
def test_long_cells_are_folded_and_numbers_are_whole(width):
    _, *lines = drawn(width)
    assert {cell_len(line) for line in lines} == {min(width, cell_len(drawn(80)[1]))}
    cells = [[cell.strip() for cell in line[1:-1].split("│")] for line in lines if line.startswith("│")]
    columns = ["".join(column).replace(" ", "") for column in zip(*cells, strict=True)]
    assert columns == ["".join(column).replace(" ", "").replace("\n", "") for column in zip(*ROWS, strict=True)]
    assert {"0.93", "-12.5"} <= {row[2] for row in cells}


def test_lines_of_ascii_signs_have_the_same_places():
    for line, plain in zip(drawn(34)[1:], drawn(34, frame=ASCII)[1:], strict=True):
        assert len(line) == len(plain)
        assert {sign for sign in plain if sign not in line} <= set("+-|")


def test_short_names_in_the_first_column_are_not_cut():
    rows = [("kokhlikyan2021", "a long title of many words that folds", "reproductions.kokhlikyan2021")]
    lines = table_lines("papers", ("name", "title", "module"), rows, numeric=0, width=60)
    assert any("kokhlikyan2021 │" in line for line in lines)
