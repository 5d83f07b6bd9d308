"""The command line. It talks to the daemon by HTTP, decides nothing by itself, and imports nothing heavy."""
