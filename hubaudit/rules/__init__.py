"""The rules: what in a file's evidence is worth telling a person."""
