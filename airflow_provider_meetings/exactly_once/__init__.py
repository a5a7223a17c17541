"""One meeting a task instance, however often it is tried or killed."""
