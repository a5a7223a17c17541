"""From two looks at a window of meetings to the events between them."""
