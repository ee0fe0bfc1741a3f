"""Own nano's curve over training tokens: ``python benchmarks/nano_curve.py CHECKPOINTS --out FILE``.

A checkpoint is a copy of a run's ``model`` folder, named after the tokens it was trained on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from preceptor.nano import evaluate


def main() -> None:
    """Measure checkpoints from the command line."""
    parser = argparse.ArgumentParser(description="Nano's held-out accuracy over training tokens.")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="folders named by token count")
    parser.add_argument("--count", type=int, default=100, help="questions per condition")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = []
    for folder in sorted(args.checkpoints, key=lambda f: int(f.name)):
        rows.append({"tokens": int(folder.name), **evaluate.evaluate(folder, args.count, free=0)})
        args.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(args.out)


if __name__ == "__main__":
    main()
