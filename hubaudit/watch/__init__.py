"""What changed in a repository since it was looked at before: `changes.py` says, `gather.py` asks the Hub."""
