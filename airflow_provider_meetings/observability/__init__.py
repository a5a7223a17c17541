"""What a task leaves behind: numbers, its outcome, a link to its meeting."""
