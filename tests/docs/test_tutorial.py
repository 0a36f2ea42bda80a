"""The tutorial's code runs from top to bottom, and its notebook is the same tutorial."""

import json
import runpy

from docs.code_blocks import PAGES, python_blocks

SMALLER = {
    "render_digits(4000)": "render_digits(300)",
    "range(6)": "range(1)",
    "render_digits(20": "render_digits(3",
    "samples=20": "samples=2, steps=2",
    "trials=3": "trials=1",
    "steps=20": "steps=2",
}


def test_the_notebook_is_that_of_the_page():
    made = runpy.run_path(str(PAGES / "make_notebook.py"))["written"](
        (PAGES / "tutorial.md").read_text(encoding="utf-8")
    )
    stored = (PAGES / "tutorial.ipynb").read_text(encoding="utf-8")
    assert made == stored, "run: python docs/make_notebook.py"


def test_it_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cells = json.loads((PAGES / "tutorial.ipynb").read_text(encoding="utf-8"))["cells"]
    blocks = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert [block.strip() for block in python_blocks("tutorial.md")] == blocks
    code = "\n".join(blocks)
    for size, smaller in SMALLER.items():
        assert size in code
        code = code.replace(size, smaller)
    names = {}
    exec(code, names)
    assert (tmp_path / "runs" / "tutorial" / "report.html").is_file()
    assert "edge-detector" in names["judgement"].summaries
    assert "deletion" in capsys.readouterr().out
