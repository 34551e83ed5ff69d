"""What became of accepted messages: callbacks and polling."""
