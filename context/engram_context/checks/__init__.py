"""Findings in one file of a snapshot: one module per check, stable codes, comments that silence them.

To add a check: a module with a `CHECK`, a line in `CHECKS` (catalogue.py), and for each of its codes `pages/<code>.md`,
whose examples the tests run. What a check knows of the whole project it asks of `subject.whole`, so that all files
share it.
`catalogue` imports all of them: a start, which checks nothing yet, leaves it alone.
"""
