"""Ready files that submit an exported job to a scheduler, written beside ``run.sh``.

Owns their text: Slurm, Kubernetes, SkyPilot and dstack. Each asks for the GPUs and runs ``run.sh``;
what a site wants beside that is added by hand. Nothing is submitted from here.
"""

from __future__ import annotations

_SBATCH = """\
#!/bin/bash
#SBATCH --job-name=preceptor-{fingerprint}
#SBATCH --gres=gpu:{gpus}
#SBATCH --output=slurm-%j.txt
cd "${{SLURM_SUBMIT_DIR:-.}}"
exec sh run.sh
"""

_KUBERNETES = """\
# The folder of this job lies in the volume claim "preceptor-job"; the image has preceptor[local].
apiVersion: batch/v1
kind: Job
metadata:
  name: preceptor-{fingerprint}
spec:
  backoffLimit: 3
  template:
    spec:
      restartPolicy: OnFailure
      containers:
        - name: train
          image: IMAGE_WITH_PRECEPTOR
          workingDir: /job
          command: ["sh", "run.sh"]
          resources:
            limits:
              nvidia.com/gpu: {gpus}
          volumeMounts:
            - name: job
              mountPath: /job
      volumes:
        - name: job
          persistentVolumeClaim:
            claimName: preceptor-job
"""

_SKYPILOT = """\
# sky launch -c preceptor sky.yaml, with the accelerator that you have.
name: preceptor-{fingerprint}
workdir: .
resources:
  accelerators: A100:{gpus}
setup: pip install 'preceptor[local]'
run: sh run.sh
"""


_DSTACK = """\
# dstack apply -f job.dstack.yml. The container goes when the run ends: add a command that copies
# result.json and adapter/ to a place of yours, or keep /job on a volume.
type: task
name: preceptor-{fingerprint}
python: "3.12"
files:
  - .:/job
working_dir: /job
commands:
  - pip install 'preceptor[local]'
  - sh run.sh
resources:
  gpu: {gpus}
"""


def files(fingerprint: str, gpus: int) -> dict[str, str]:
    """Return the files by name.

    Args:
        fingerprint: The job's.
        gpus: How many GPUs, or processes, it is trained on.
    """
    words = {"fingerprint": fingerprint, "gpus": gpus}
    return {
        "job.sbatch": _SBATCH.format(**words),
        "job.yaml": _KUBERNETES.format(**words),
        "sky.yaml": _SKYPILOT.format(**words),
        "job.dstack.yml": _DSTACK.format(**words),
    }
