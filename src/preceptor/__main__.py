"""``python -m preceptor``: the command line."""

from preceptor.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
