"""The log daemon: who had which block, and which connections there were, to files and collectors.

Reads what the ruleset sends (block messages, connection ends), makes records of the live site's words, and
hands them to outputs that may be slow or away. Every loss is counted. Never heard of the command line.
"""
