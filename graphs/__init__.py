"""Graphs decide: the loop, the gates, the wiring."""
