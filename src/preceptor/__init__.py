"""Preceptor: a teacher agent that makes compact local language models good enough."""
