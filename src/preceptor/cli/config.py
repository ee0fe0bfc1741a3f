"""``preceptor config``: the merged settings, and where each one comes from; no secret is shown."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict

from preceptor.cli.options import add_json, add_settings, overrides
from preceptor.core.settings import Setting, explain, secrets


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    found = explain(args.config, os.environ, overrides(args))
    there = secrets(os.environ)
    if args.json:
        print(json.dumps({"settings": [asdict(one) for one in found], "secrets": there}, indent=2))
        return 0
    width = max(len(one.key) for one in found)
    for one in found:
        print(f"{one.key:<{width}}  {json.dumps(one.value, ensure_ascii=False):<24}  {_origin(one)}")
    print("\nsecrets (from the environment only, never shown)")
    for name, is_set in there.items():
        print(f"{name:<{width}}  {'set' if is_set else 'not set'}")
    return 0


def _origin(one: Setting) -> str:
    return f"{one.origin} {one.where}".strip()
