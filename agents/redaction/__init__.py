"""Redaction: what identifies a person is replaced by a pseudonym before a text leaves the machine.

Owns the rules that find names, dates, addresses, numbers and institutions in German and English
clinical text, and the pseudonyms. Whether a text leaves, and in which shape, is ``core.egress``'s
business. ``docs/results/redaction.md`` says how much the rules find, and what they miss.
"""
