"""A job goes to another machine and its result comes back, checked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from preceptor.core.errors import InputError, StoreError
from preceptor.core.files import compact
from preceptor.core.record import digest
from preceptor.core.records import AdapterRef
from preceptor.tools.sft import base
from preceptor.tools.sft.carry import Parcel, export_job, import_job
from preceptor.tools.sft.job import ADAPTER, DATA, RESULT, Job, Paths, Result
from preceptor.tools.sft.launch import Launch
from preceptor.tools.sft.place import Place
from preceptor.tools.sft.runner import Runner
from tests.tools.sft import small

pytest.importorskip("safetensors", reason="pip install preceptor[local]")


def exported(folder: Path, with_base: bool = True) -> Job:
    job = small.write(folder / "made")
    rows = (folder / "made" / DATA).read_bytes()
    export_job(folder / "out", job, rows, Paths(base=str(small.model())), Parcel(with_base))
    return job


def pretend(folder: Path, job: Job) -> Result:
    """Put a result into a folder, as the training would; the weights are any bytes."""
    adapter = folder / ADAPTER
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    files = base.file_hashes(adapter)
    ref = AdapterRef(digest=base.weights_digest(files))
    base.write_about(adapter, base.About(adapter=ref, base=job.base.digest, spec="x", job="x"))
    result = Result(
        job=job.fingerprint, base=job.base.digest, adapter=ref, files=files, stopped="done", rows=1,
        validation_rows=0, tokens=1, steps=1, best_step=1, seconds=1, losses=(1.0,), rate=1e-3, parts=1,
        device="cuda", memory_mb=1,
    )  # fmt: skip
    (folder / RESULT).write_bytes(compact(result.model_dump(mode="json")))
    return result


def test_out_and_back(tmp_path: Path) -> None:
    job = exported(tmp_path)
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} == {
        "README.md", "base", "data.jsonl", "job.json", "paths.json", "run.sh",
        "job.sbatch", "job.yaml", "sky.yaml", "job.dstack.yml",
    }  # fmt: skip
    assert job.fingerprint in (out / "README.md").read_text()
    assert str(tmp_path) not in "".join(p.read_text() for p in out.iterdir() if p.is_file())
    with pytest.raises(InputError, match="is not finished"):
        import_job(out, tmp_path / "root", job)
    away = tmp_path / "elsewhere"
    shutil.move(out, away)
    assert Place.read(away).base == away / "base"
    result = pretend(away, job)
    assert import_job(away, tmp_path / "root", job) == result
    assert Runner(tmp_path / "root").result(job) == result


def test_a_base_that_stays_here_is_named_there(tmp_path: Path) -> None:
    exported(tmp_path, with_base=False)
    script = tmp_path / "out" / "run.sh"
    told = {**os.environ, "PYTHON": "echo"}
    told.pop("BASE", None)
    lost = subprocess.run(["sh", str(script)], env=told, capture_output=True, text=True)
    assert (lost.returncode != 0, "set BASE to the folder" in lost.stderr) == (True, True)
    told["BASE"] = "/models/my base"
    done = subprocess.run(["sh", str(script)], env=told, capture_output=True, text=True)
    assert done.stdout.strip().endswith("job.json --base /models/my base")
    assert "BASE=/folder/of/the/base/model PYTHON=" in (tmp_path / "out" / "README.md").read_text()
    with pytest.raises(InputError, match="--base"):
        Place.read(tmp_path / "out")


def test_what_comes_back_is_checked(tmp_path: Path) -> None:
    job = exported(tmp_path)
    out = tmp_path / "out"
    result = pretend(out, job)
    root = tmp_path / "root"
    with pytest.raises(InputError, match="not the job that was sent"):
        import_job(out, root, job.model_copy(update={"seed": 5}))
    other = result.model_copy(update={"base": digest("another")})
    (out / RESULT).write_bytes(compact(other.model_dump(mode="json")))
    with pytest.raises(InputError, match="another base model"):
        import_job(out, root, job)
    (out / RESULT).write_bytes(compact(result.model_dump(mode="json")))
    (out / ADAPTER / "adapter_model.safetensors").write_bytes(b"changed")
    with pytest.raises(InputError, match="damaged"):
        import_job(out, root, job)
    (out / DATA).write_bytes(b"")
    with pytest.raises(InputError, match="not the job's data"):
        import_job(out, root, job)
    assert not root.exists()


def test_a_disk_that_is_full_leaves_no_half_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(StoreError, match="make room"):
            exported(tmp_path)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))
    exported(tmp_path / "again")


def test_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    exported(tmp_path)
    job = small.write(tmp_path / "made")
    with pytest.raises(InputError, match="is not empty"):
        export_job(tmp_path / "out", job, b"", Paths(base=""))
    with pytest.raises(InputError, match="not the rows of this job"):
        export_job(tmp_path / "new", job, b"", Paths(base=""))


def test_the_scripts_are_well_formed_and_ask_for_the_gpus(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="pip install preceptor[local]")
    job = small.write(tmp_path / "made")
    rows = (tmp_path / "made" / DATA).read_bytes()
    how = Parcel(with_base=True, launch=Launch("accelerate", 4))
    out = export_job(tmp_path / "out", job, rows, Paths(base=str(small.model())), how)
    for name in ("run.sh", "job.sbatch"):
        subprocess.run(["bash", "-n", str(out / name)], check=True)
    assert "--gres=gpu:4" in (out / "job.sbatch").read_text()
    pod = yaml.safe_load((out / "job.yaml").read_text())["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": 4}
    assert pod["containers"][0]["volumeMounts"][0]["name"] == pod["volumes"][0]["name"]
    sky = yaml.safe_load((out / "sky.yaml").read_text())
    assert (sky["run"], sky["resources"]) == ("sh run.sh", {"accelerators": "A100:4"})
    dstack = yaml.safe_load((out / "job.dstack.yml").read_text())
    assert (dstack["type"], dstack["commands"][-1]) == ("task", "sh run.sh")
    assert (dstack["resources"], dstack["working_dir"]) == ({"gpu": 4}, "/job")
    said = {**os.environ, "PYTHON": "echo"}
    done = subprocess.run(["sh", "run.sh"], cwd=out, env=said, capture_output=True, text=True)
    assert "--num_processes 4" in done.stdout
    assert done.stdout.strip().endswith("-m preceptor.tools.sft.train job.json")
