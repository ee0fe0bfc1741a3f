"""Core says: words, promises, disk, money. It imports no other room."""
