"""What an operator sees and does, without a terminal and without HTTP: one module for each kind of thing."""
