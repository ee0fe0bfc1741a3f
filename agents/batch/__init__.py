"""OpenAI's batch endpoint: many requests in one file, at half the price, within a day.

``lines`` is the file, ``service`` the server, ``slips`` what is remembered on disk, ``desk`` one batch
from beginning to end, and ``student`` a model that is asked that way.
"""
