"""What was live when, and which subscriber had what: state directory, history, log of assignments."""
