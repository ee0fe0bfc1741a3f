"""What a process may use of its machine: the container's limit goes before what the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from preceptor.core import machine

MEMINFO = "MemTotal:       16000 kB\nMemFree: 1 kB\nMemAvailable:    9000 kB\n"


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    file = tmp_path / "meminfo"
    file.write_text(MEMINFO, "ascii")
    return file


def test_memory_of_a_machine(meminfo: Path, tmp_path: Path) -> None:
    assert machine.memory(meminfo, tmp_path / "none") == (16000 * 1024, 9000 * 1024)
    assert machine.memory(tmp_path / "none", tmp_path) is None
    meminfo.write_text("MemTotal: 5 kB\n", "ascii")
    assert machine.memory(meminfo, tmp_path) is None


@pytest.mark.parametrize(
    ("most", "used", "found"),
    [
        ("8192000", "2048000", (8192000, 6144000)),
        ("8192000", "9000000", (8192000, 0)),
        ("max", "2048000", (16000 * 1024, 9000 * 1024)),
    ],
)
def test_memory_of_a_container(
    meminfo: Path, tmp_path: Path, most: str, used: str, found: tuple[int, int]
) -> None:
    (tmp_path / "memory.max").write_text(f"{most}\n", "ascii")
    (tmp_path / "memory.current").write_text(f"{used}\n", "ascii")
    assert machine.memory(meminfo, tmp_path) == found


def test_a_quota_leaves_fewer_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert machine.cores() == 8
    for said, count in (("250000 100000", 2), ("50000 100000", 1), ("max 100000", 8)):
        (tmp_path / "cpu.max").write_text(f"{said}\n", "ascii")
        assert machine.cores() == count
