"""Change what is live: apply with its line in the history, trial and timer, rollback, boot.

Every function returns a value or raises; nothing is printed. Knows no command line.
"""
