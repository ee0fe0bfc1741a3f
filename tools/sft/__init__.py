"""Fine-tuning as a move: a job in a process of its own trains an adapter for a student.

``finetune`` is the tool, ``data`` makes the rows, ``job`` says what is trained, ``runner`` starts and
watches the process, ``train`` is that process, ``carry`` takes a job to another machine and back.
Nothing here imports torch, transformers, trl, peft or datasets before training starts.
"""
