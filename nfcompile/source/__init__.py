"""Site text -> checked plain data: strict YAML with places, the JSON Schema, files of a git revision."""
