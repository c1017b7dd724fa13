"""Values that cross between the grader's process and the student's: Python and torch values <->
JSON.

The checks run in the grader's process and the student's functions in another; only values cross, so
nothing that a submission does can change a verdict. JSON, because reading it never runs anything
(pickle would). What JSON lacks is an object whose key "~" names the kind:

    (1, 2)                  {"~": "tuple", "items": [1, 2]}
    torch.tensor([1.0])     {"~": "tensor", "dtype": "float32", "shape": [1], "data": base64, "grad": 0}
    lambda x: x + 1         {"~": "function", "id": 3}      called by a message back to the process that has it

"grad" numbers the tensors that autograd follows; remote.py carries gradients over. Left out:
modules, files, classes of the student's own. A function that takes or gives back those cannot be an
exercise.
"""

import base64
import dataclasses
import importlib
import itertools
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch

LONGEST_ITERATOR = (
    10_000  # items taken from a generator that a function gives back; it might never end
)
DTYPES = {
    name: getattr(torch, name)
    for name in (
        "float32",
        "float64",
        "float16",
        "bfloat16",
        "int64",
        "int32",
        "int16",
        "int8",
        "uint8",
        "bool",
    )
}
NUMPY = {"f", "i", "u", "b"}  # kinds of NumPy arrays that cross


class Codec:
    """Turns values into JSON and back, and keeps what stays behind: functions, and the tensors that
    autograd follows.

    >>> codec = Codec(call=None)
    >>> codec.decode(codec.encode({"a": (1, {2.5}), "b": Fraction(1, 3)}))
    {'a': (1, {2.5}), 'b': Fraction(1, 3)}
    """

    def __init__(self, call: Callable[[int, list, dict], Any] | None):
        self.call = call  # calls a function of the other process: (id, args, kwargs)
        self.functions: list[Callable] = []  # of ours that the other process knows by number
        self.tracked: list[
            torch.Tensor
        ] = []  # tensors of the current message that autograd follows, in order

    def encode(self, value: Any) -> Any:
        """A value as JSON; TypeError, with the type's name, for what cannot cross."""
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, np.generic):
            return self.encode(value.item())
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value)
        if isinstance(value, list):
            return [self.encode(item) for item in value]
        if isinstance(value, dict):
            return {
                "~": "dict",
                "items": [[self.encode(k), self.encode(v)] for k, v in value.items()],
            }
        if isinstance(value, torch.Tensor):
            return self.encode_tensor(value)
        if dataclasses.is_dataclass(value) and type(value).__module__.startswith("minilrm."):
            fields = {
                f.name: self.encode(getattr(value, f.name))
                for f in dataclasses.fields(value)
                if f.init
            }
            return {
                "~": "dataclass",
                "module": type(value).__module__,
                "name": type(value).__qualname__,
                "fields": fields,
            }
        for kind, types in SEQUENCES.items():
            if isinstance(value, types):
                return {"~": kind, "items": [self.encode(item) for item in value]}
        return self.encode_rest(value)

    def encode_rest(self, value: Any) -> dict:
        """The rarer kinds."""
        if isinstance(value, (bytes, bytearray)):
            return {"~": "bytes", "data": text(value)}
        if isinstance(value, Fraction):
            return {"~": "fraction", "items": [value.numerator, value.denominator]}
        if isinstance(value, complex):
            return {"~": "complex", "items": [value.real, value.imag]}
        if isinstance(value, np.ndarray) and value.dtype.kind in NUMPY:
            return {
                "~": "array",
                "dtype": value.dtype.str,
                "shape": list(value.shape),
                "data": text(value.tobytes()),
            }
        if isinstance(value, random.Random):
            return {"~": "random", "state": self.encode(value.getstate())}
        if isinstance(value, torch.Generator):
            return {"~": "generator", "state": self.encode(value.get_state())}
        if isinstance(value, Iterator):
            return {
                "~": "iterator",
                "items": [self.encode(x) for x in itertools.islice(value, LONGEST_ITERATOR)],
            }
        if callable(value) and not isinstance(value, (type, torch.nn.Module)):
            self.functions.append(value)
            return {"~": "function", "id": len(self.functions) - 1}
        raise TypeError(
            f"{a_kind(value)}, which the grader cannot take over; numbers, texts, lists, dicts, tensors can"
        )

    def encode_tensor(self, value: torch.Tensor) -> dict:
        kind = str(value.dtype).removeprefix("torch.")
        if kind not in DTYPES:
            raise TypeError(f"a tensor of {kind}, which the grader cannot take over")
        data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        message = {
            "~": "tensor",
            "dtype": kind,
            "shape": list(value.shape),
            "data": text(data.numpy().tobytes()),
        }
        if value.requires_grad:
            message["grad"] = len(self.tracked)
            self.tracked.append(value)
        return message

    def decode(self, value: Any) -> Any:
        """The value again; ValueError if the message is none of ours."""
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        kind, items = value.get("~"), value.get("items")
        if kind == "dict":
            return {self.decode(key): self.decode(item) for key, item in items}
        if kind in BUILDERS:
            return BUILDERS[kind]([self.decode(item) for item in items])
        if kind == "tensor":
            return self.decode_tensor(value)
        if kind == "bytes":
            return base64.b64decode(value["data"])
        if kind == "array" and np.dtype(value["dtype"]).kind in NUMPY:
            return (
                np.frombuffer(base64.b64decode(value["data"]), np.dtype(value["dtype"]))
                .reshape(value["shape"])
                .copy()
            )
        if kind == "random":
            generator = random.Random()
            generator.setstate(self.decode(value["state"]))
            return generator
        if kind == "generator":
            return torch.Generator().set_state(self.decode(value["state"]))
        if kind == "function":
            number = int(value["id"])
            return lambda *args, **kwargs: self.call(number, list(args), kwargs)
        if kind == "dataclass":
            return self.decode_dataclass(value)
        raise ValueError(f"unknown kind {kind!r:.40}")

    def decode_tensor(self, value: dict) -> torch.Tensor:
        data = bytearray(base64.b64decode(value["data"]))
        dtype = DTYPES[value["dtype"]]
        tensor = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        tensor = tensor.reshape(value["shape"])
        if "grad" in value:
            tensor.requires_grad_(True)
            self.tracked.append(tensor)
        return tensor

    def decode_dataclass(self, value: dict) -> Any:
        """One of the library's own dataclasses (a Problem, a Grade); no other class is ever looked
        up."""
        parts = str(value["module"]).split(".")
        if parts[0] != "minilrm" or parts[-1].startswith("_"):
            raise ValueError("a class that is not the library's")
        kind = getattr(importlib.import_module(value["module"]), str(value["name"]))
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            raise ValueError("no dataclass")
        return kind(**{name: self.decode(item) for name, item in value["fields"].items()})


SEQUENCES = {"tuple": (tuple,), "set": (set,), "frozenset": (frozenset,), "range": (range,)}
BUILDERS = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "range": list,
    "iterator": iter,
    "fraction": lambda pair: Fraction(*pair),
    "complex": lambda pair: complex(*pair),
}


def text(data: bytes | bytearray) -> str:
    """Bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def a_kind(value: Any) -> str:
    """What a value is, for a sentence: `a tensor of shape (2, 3)`, `None`, `a str`.

    >>> a_kind(torch.zeros(2, 3)), a_kind(None), a_kind(1.5)
    ('a tensor of shape (2, 3)', 'None', 'a float')
    """
    if value is None:
        return "None"
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return f"{'a tensor' if isinstance(value, torch.Tensor) else 'an array'} of shape {tuple(value.shape)}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"


def write_back(original: Any, changed: Any) -> None:
    """Do to our argument what the function did to its copy, as if both had been the same object."""
    if isinstance(original, torch.Tensor):
        with torch.no_grad():
            original.copy_(changed)
    elif isinstance(original, list):
        original[:] = changed
    elif isinstance(original, (dict, set)):
        original.clear()
        original.update(changed)
    elif isinstance(original, random.Random):
        original.setstate(changed.getstate())
    elif isinstance(original, torch.Generator):
        original.set_state(changed.get_state())
