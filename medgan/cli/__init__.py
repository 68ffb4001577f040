"""The command line: Typer and Rich, nothing else."""
