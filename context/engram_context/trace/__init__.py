"""From a stack trace to what is likely wrong: reading it, finding its lines in a snapshot, and who is to blame.

A trace is text that somebody pasted. `parsing` makes values of it; `locating` finds their lines in the files as they
are today; `origins` follows the failing values backwards; `suspects` ranks the functions, each with its reasons.
"""
