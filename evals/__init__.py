"""Evals know tasks, truth and numbers."""
