"""Agents talk to models: teachers and students."""
