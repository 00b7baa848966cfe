"""What was live when, and who had what: the state directory, the history, the log of assignments."""
