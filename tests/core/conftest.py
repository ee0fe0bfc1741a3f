from hypothesis import settings

# No deadline: a busy machine is no error. The same cases every time: a commit is not blamed for luck.
settings.register_profile("preceptor", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("preceptor")
