"""A GGUF file becomes a checkpoint with the same weights and the same ids; what cannot be read is
one line, exit code 2."""

import json
import sys

import numpy as np
import pytest

from minilrm import checkpoint
from minilrm.checkpoint.gguf_file import CUTS, Options, import_gguf, run
from minilrm.cli import run_command
from tests import foreign
from tests.checkpoints import cut_short, refused, same_weights

gguf = pytest.importorskip("gguf")

OURS_TO_THEIRS = {
    "embed_tokens.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "lm_head_weight": "output.weight",
}
PARTS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def their_name(name):
    if name in OURS_TO_THEIRS:
        return OURS_TO_THEIRS[name]
    _, layer, *middle, kind = name.split(".")
    return f"blk.{layer}.{PARTS['.'.join(middle)]}.{kind}"


def neighbours(weight, heads):
    """llama.cpp's `permute`: pairs (i, i + d/2) become neighbours."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def write(path, folder, architecture="llama", pre="gpt-2", quantize=False, **changes):
    """A model folder as a GGUF file, as llama.cpp's converter writes it."""
    _, model, tokenizer, _ = checkpoint.open_model(folder)
    config, writer = model.config, gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config.max_seq_len)
    writer.add_embedding_length(config.dim)
    writer.add_block_count(config.n_layers)
    writer.add_feed_forward_length(config.ffn_dim)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    definition = json.loads((folder / "tokenizer.json").read_text())
    added = {token["id"]: token for token in definition["added_tokens"]}
    ids = definition["model"]["vocab"] | {t["content"]: i for i, t in added.items()}
    names = {i: name for name, i in ids.items()}
    kinds = [1 if i not in added else 3 if added[i]["special"] else 4 for i in range(len(names))]
    writer.add_tokenizer_model(changes.get("vocabulary", "gpt2"))
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([names[i] for i in range(len(names))])
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in definition["model"]["merges"]])
    if "begin" in changes:
        writer.add_bos_token_id(changes["begin"])
        writer.add_add_bos_token(True)
    if changes.get("ends", True):
        writer.add_eos_token_id(tokenizer.eos_id)
    for name, p in model.state_dict().items():
        values = p.numpy()
        if architecture == "llama" and ("q_proj" in name or "k_proj" in name):
            heads = config.n_heads if "q_proj" in name else config.n_kv_heads
            values = neighbours(values, heads)
        if quantize and values.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(their_name(name), gguf.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(their_name(name), np.ascontiguousarray(values))
    if "more" in changes:
        writer.add_tensor(changes["more"], np.zeros(4, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


SHAPES = {
    "llama": {},
    "qwen2": {"qkv_bias": True, "tie_embeddings": False},
    "qwen3": {"qk_norm": True},
}
FAMILY = {"gpt-2": "gpt2", "smollm": "smollm", "llama-bpe": "llama", "qwen2": "qwen"}


@pytest.mark.parametrize(
    "architecture, pre", [("llama", "smollm"), ("qwen2", "qwen2"), ("qwen3", "gpt-2")]
)
def test_the_same_weights_and_the_same_ids(tmp_path, architecture, pre):
    folder = foreign.folder(tmp_path / "model", FAMILY[pre], **SHAPES[architecture])
    file = write(tmp_path / "model.gguf", folder, architecture, pre)
    made = checkpoint.open_model(import_gguf(file, tmp_path / "made"))
    _, model, tokenizer, _ = checkpoint.open_model(folder)
    assert same_weights(model, made.model)
    assert vars(model.config) == pytest.approx(vars(made.model.config), rel=1e-6)
    assert made.tokenizer.end_ids == tokenizer.end_ids
    assert made.info.notes == {"source": "model.gguf", "license": "not given"}
    for text in (*foreign.texts()[:20], " 12345<|im_end|>\n\n  é it's  IT'S <think> ", "e\u0301"):
        for special in (False, True):
            assert made.tokenizer.encode(text, special) == tokenizer.encode(text, special)


def test_each_known_cut_is_that_of_its_family(tmp_path):
    assert set(CUTS) == set(FAMILY)
    folder = foreign.folder(tmp_path / "model", "llama")
    file = write(tmp_path / "model.gguf", folder, pre="llama-bpe", begin=421)
    made, own = (
        checkpoint.open_model(f).tokenizer for f in (import_gguf(file, tmp_path / "made"), folder)
    )
    for text in (*foreign.texts()[:20], "12345678 it'S\r\n\r\n \t x"):
        assert made.encode(text) == own.encode(text)
        assert made.encode_prompt(text) == own.encode_prompt(text) == [421, *own.encode(text)]


def test_quantized_weights_are_dequantised(tmp_path):
    folder = foreign.folder(tmp_path / "model")
    file = write(tmp_path / "model.gguf", folder, quantize=True)
    made = checkpoint.load(import_gguf(file, tmp_path / "made"))[0]
    model = checkpoint.load(folder)[0]
    for name, p in model.state_dict().items():
        error = (made.state_dict()[name] - p).abs().max()
        assert error <= p.abs().max() / 127 if p.dim() == 2 else error == 0


@pytest.fixture
def says(tmp_path, capsys):
    """The line with which the command refuses a file."""

    def line(file):
        with pytest.raises(SystemExit) as stopped:
            argv = [str(file), "--out", str(tmp_path / "made")]
            run_command(run, Options, argv, prog="import", description="", first="file")
        said = capsys.readouterr().err
        assert stopped.value.code == 2 and said.startswith("error: ") and said.count("\n") == 1
        assert not (tmp_path / "made").exists()
        return said

    return line


def test_what_cannot_be_read_is_refused(tmp_path, says, monkeypatch):
    folder, number = foreign.folder(tmp_path / "model"), iter(range(9))

    def file(*args, **more):
        return write(tmp_path / f"{next(number)}.gguf", folder, *args, **more)

    assert "there is no file" in says(tmp_path / "none.gguf")
    assert "of the architecture gemma3, not llama" in says(file("gemma3"))
    assert "kind llama, no byte-level BPE" in says(file(vocabulary="llama"))
    assert "cut as 'tekken'" in says(file(pre="tekken"))
    assert "which token ends a text" in says(file(ends=False))
    assert "rope_freqs.weight, which has no place" in says(file(more="rope_freqs.weight"))
    (tmp_path / "text.gguf").write_text("this is no such file" * 9)
    assert "no whole GGUF file" in says(tmp_path / "text.gguf")
    whole = file()
    cut_short(whole)
    assert "no whole GGUF file" in says(whole)
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert "needs the package gguf" in says(whole)


def test_the_package_is_asked_for_by_name(tmp_path):
    refused(lambda: run(Options(file=None)), "import FILE.gguf --out DIR")
