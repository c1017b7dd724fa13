"""Checkpoints: Hugging Face model folders, so that what is trained here opens elsewhere, and a
Qwen3, Qwen2 or Llama folder opens here.

    config.json             the shape of the model, in Hugging Face's words
    model.safetensors       the weights, under Hugging Face's names
    tokenizer.json ...      the tokenizer: ours in Hugging Face's form, or another project's
    generation_config.json  which token ends a text
                            (so far what `transformers` reads)
    minilrm.json            task, where it comes from, and the sha256 of every other file
    heads.safetensors       value and reward heads, if there are any
    optimizer.safetensors   the tensors of the optimizers' states
    trainer.json            their options and numbers, and the loop's counters
                            (these two only in the checkpoints of a run, for --resume)

Nothing is ever pickled: opening a stranger's checkpoint must not run a stranger's code.

What other rooms call:

    saving.py       save: a model and all that belongs to it, as a new folder
    loading.py      load: the model, its tokenizer and where it comes from; load_heads, load_config
    finding.py      open_model, resolve, shipped: a checkpoint by what a user calls it; newest_valid
    gguf_file.py    import_gguf: a GGUF file of llama.cpp made into a checkpoint
    resuming.py     resume, load_trainer: model and optimizers back where a run was

What these rest on:

    record.py       Info and Record: what minilrm.json holds
    huggingface.py  our model in Hugging Face's words and back; what is not built here is refused
    integrity.py    what is read is what was saved: sha256, whole files, no NaN
    disk.py         a folder is there as a whole or not at all, whenever the power fails
"""

from minilrm.checkpoint.disk import remove
from minilrm.checkpoint.finding import Opened, newest_valid, open_model, resolve, shipped
from minilrm.checkpoint.gguf_file import Options
from minilrm.checkpoint.loading import load, load_config, load_heads
from minilrm.checkpoint.record import Info
from minilrm.checkpoint.resuming import load_trainer, resume
from minilrm.checkpoint.saving import save

__all__ = [
    "Info",
    "Opened",
    "Options",
    "load",
    "load_config",
    "load_heads",
    "load_trainer",
    "newest_valid",
    "open_model",
    "remove",
    "resolve",
    "resume",
    "save",
    "shipped",
]
