"""Batched generation with a key-value cache.

generation.py   generate: completions of prompts; what most callers need
engine.py       Engine: prefill, step, and caches to fork; what a search is made of
decoding.py     a batch of rows, one token at a time; rows leave as they finish
picking.py      from logits to a token: temperature, top-k, top-p
hooks.py        banned, forced and inserted tokens; stop strings; streams
cache.py        the engine's key-value cache
fused.py        the model's arithmetic, laid out for one token at a time
workers.py      decoding processes beside this one; serve.py is their side
"""

from minilrm.sampler.cache import Cache, join
from minilrm.sampler.decoding import Completion
from minilrm.sampler.engine import Engine
from minilrm.sampler.generation import WORTH_SHARING, generate
from minilrm.sampler.hooks import Ban, Force, ToolError
from minilrm.sampler.picking import Picker, inverse_cdf, truncate, uniform_noise
from minilrm.sampler.workers import Workers

__all__ = [
    "WORTH_SHARING",
    "Ban",
    "Cache",
    "Completion",
    "Engine",
    "Force",
    "Picker",
    "ToolError",
    "Workers",
    "generate",
    "inverse_cdf",
    "join",
    "truncate",
    "uniform_noise",
]
