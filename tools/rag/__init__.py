"""Retrieval: a content-hashed index of worked examples, and the student's examples out of it."""
