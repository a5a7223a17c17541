"""Many meetings in one task: sets of them, and files with them."""
