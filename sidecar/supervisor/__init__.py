"""`douane up`: the whole installation as child processes, started, watched, restarted and stopped in order."""
