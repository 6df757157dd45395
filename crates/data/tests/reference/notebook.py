"""Writes notebooks of both versions, and what nbformat and nbconvert read in them.

    python3 -m venv venv && venv/bin/pip install nbformat==5.11.1 nbconvert==7.17.2
    venv/bin/python crates/data/tests/reference/notebook.py
"""

import json
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter
from nbformat import v3, v4

FOLDER = Path(__file__).parent.parent / "golden" / "notebook"
RED, OFF = "\x1b[0;31m", "\x1b[0m"


def modern():
    cells = [
        v4.new_markdown_cell("# Tides\n\nHow *high* does the water rise? See $h = a \\sin t$."),
        v4.new_code_cell("import math\n\nheights = [math.sin(t) for t in range(4)]\nheights", execution_count=1, outputs=[
            v4.new_output("execute_result", {"text/plain": "[0.0, 0.84, 0.9, 0.14]", "text/html": "<b>list</b>"}, execution_count=1),
        ]),
        v4.new_code_cell("print('a')\nprint('b')", execution_count=2, outputs=[
            v4.new_output("stream", name="stdout", text="a\n"),
            v4.new_output("stream", name="stdout", text="b\n"),
            v4.new_output("stream", name="stderr", text="careful now\n"),
        ]),
        v4.new_code_cell("1 / 0", execution_count=3, outputs=[
            v4.new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=[
                f"{RED}---------{OFF}", f"{RED}ZeroDivisionError{OFF}: division by zero"]),
        ]),
        v4.new_code_cell("plot(heights)", execution_count=4, outputs=[
            v4.new_output("display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 640x480>"}),
        ]),
        v4.new_code_cell("", outputs=[]),
        v4.new_raw_cell("raw words"),
        v4.new_markdown_cell("```\nfence\n```\n\nDone: été, 水, 🌊."),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return v4.new_notebook(cells=cells, metadata={
        "title": "Tides", "authors": [{"name": "Ann Example"}, {"name": "Bob Example"}],
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python", "file_extension": ".py"},
    })


def old():
    cells = [
        v3.new_heading_cell("An old notebook", level=2),
        v3.new_text_cell("markdown", source="It still *opens*."),
        v3.new_code_cell(input="x = 41\nx + 1", prompt_number=7, language="python", outputs=[
            v3.new_output("pyout", output_text="42", prompt_number=7),
            v3.new_output("stream", output_text="printed\n", stream="stdout"),
        ]),
        v3.new_code_cell(input="boom()", prompt_number=8, language="python", outputs=[
            v3.new_output("pyerr", ename="NameError", evalue="boom", traceback=[f"{RED}NameError{OFF}: boom"]),
        ]),
    ]
    return v3.new_notebook(metadata=v3.new_metadata(name="old"), worksheets=[v3.new_worksheet(cells=cells)])


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "modern.ipynb").write_text(nbformat.writes(modern(), version=4), encoding="utf-8")
    (FOLDER / "old.ipynb").write_text(v3.nbjson.writes(old()), encoding="utf-8")
    for name in ["modern", "old"]:
        notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        exporter = MarkdownExporter()
        # Pictures and HTML are left out by the loader.
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                output.get("data", {}).pop("text/html", None)
                output.get("data", {}).pop("image/png", None)
        markdown, _ = exporter.from_notebook_node(notebook)
        expected = {
            "cells": [[cell.cell_type, cell.source, cell.get("execution_count")] for cell in notebook.cells],
            "markdown": markdown,
        }
        text = json.dumps(expected, ensure_ascii=False, indent=1)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


main()
