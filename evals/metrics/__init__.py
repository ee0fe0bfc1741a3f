"""What a run is judged by: one metric per task, and the statistics behind it.

``statistic`` computes metrics from counts per note, ``choice`` picks the metric of a task, ``own``
loads a person's own, ``resampling`` gives intervals and tests, ``card`` says what each one is.
"""
