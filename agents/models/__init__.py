"""Models by name: bringing them to this machine, whole or not at all."""
