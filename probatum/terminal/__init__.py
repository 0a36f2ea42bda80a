"""Terminal input and output: options, completion, progress, tables, summaries, errors in one line.

`options`, `catalog` and `output` import nothing slow, so that help, lists and completion answer at once.
"""
