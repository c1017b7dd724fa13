"""Values that cross between the grader's process and the submission's: Python and torch values <->
JSON.

The checks run in the grader's process and the student's functions in another; only values cross, so
nothing that a submission does can change a verdict. JSON, because reading it never runs anything
(pickle would). What JSON lacks is an object whose key "~" names the kind:

    (1, 2)                {"~": "tuple", "items": [1, 2]}
    torch.tensor([1.0])   {"~": "tensor", "dtype": "float32", "shape": [1], "data": base64,
                           "grad": 0}
    lambda x: x + 1       {"~": "function", "id": 3}       called by a message back to its process

"grad" numbers the tensors that autograd follows; grade/student.py carries gradients over. Left out:
modules, files, classes. A function that takes or gives back those cannot be an exercise.
"""

import base64
import itertools
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch

LONGEST_ITERATOR = 10_000  # items taken from a generator that is given back; it might never end
DTYPES = {
    name: getattr(torch, name)
    for name in (
        *("float32", "float64", "float16", "bfloat16"),
        *("int64", "int32", "int16", "int8", "uint8", "bool"),
    )
}
NUMPY = {"f", "i", "u", "b"}  # kinds of NumPy arrays that cross
GENERATORS = ("random", "generator")  # to draw from one is to change it

Message = Any  # what json.dumps takes
Function = Callable[..., Any]


class Codec:
    """Turns values into messages and back, and numbers the functions of this process that the other
    one knows.

    `followed` collects the tensors that autograd follows, in the order of their numbers.

    >>> codec = Codec(call=None)
    >>> codec.decode(codec.encode({"a": (1, {2.5}), "b": Fraction(1, 3)}))
    {'a': (1, {2.5}), 'b': Fraction(1, 3)}
    """

    def __init__(self, call: Callable[[int, list[Any], dict[str, Any]], Any] | None):
        self.call = call  # calls a function of the other process: (its number, args, kwargs)
        self.functions: list[Function] = []  # ours, by number

    def encode(self, value: Any, followed: list[torch.Tensor] | None = None) -> Message:
        """A value as a message; TypeError, with the type's name, for what cannot cross."""
        followed = [] if followed is None else followed
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, np.generic):
            return self.encode(value.item(), followed)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value)
        if isinstance(value, list):
            return [self.encode(item, followed) for item in value]
        if isinstance(value, dict):
            pairs = value.items()
            items = [[self.encode(k, followed), self.encode(v, followed)] for k, v in pairs]
            return {"~": "dict", "items": items}
        if isinstance(value, torch.Tensor):
            return encode_tensor(value, followed)
        for kind, of in SEQUENCES.items():
            if isinstance(value, of):
                return {"~": kind, "items": [self.encode(item, followed) for item in value]}
        return self.encode_rest(value, followed)

    def encode_rest(self, value: Any, followed: list[torch.Tensor]) -> Message:
        """The rarer kinds."""
        if isinstance(value, (bytes, bytearray)):
            return {"~": "bytes", "data": text(value)}
        if isinstance(value, Fraction):
            return {"~": "fraction", "items": [value.numerator, value.denominator]}
        if isinstance(value, complex):
            return {"~": "complex", "items": [value.real, value.imag]}
        if isinstance(value, np.ndarray) and value.dtype.kind in NUMPY:
            data = text(value.tobytes())
            shape = list(value.shape)
            return {"~": "array", "dtype": value.dtype.str, "shape": shape, "data": data}
        if isinstance(value, random.Random):
            return {"~": "random", "state": self.encode(value.getstate())}
        if isinstance(value, torch.Generator):
            return {"~": "generator", "state": self.encode(value.get_state())}
        if isinstance(value, Iterator):
            items = itertools.islice(value, LONGEST_ITERATOR)
            return {"~": "iterator", "items": [self.encode(item, followed) for item in items]}
        if callable(value) and not isinstance(value, (type, torch.nn.Module)):
            self.functions.append(value)
            return {"~": "function", "id": len(self.functions) - 1}
        raise TypeError(
            f"{a_kind(value)}, which the grader cannot take over; "
            "numbers, texts, lists, dicts, tensors can"
        )

    def decode(self, message: Message, followed: list[torch.Tensor] | None = None) -> Any:
        """The value again; ValueError if the message is none of ours."""
        followed = [] if followed is None else followed
        if isinstance(message, list):
            return [self.decode(item, followed) for item in message]
        if not isinstance(message, dict):
            return message
        kind, items = message.get("~"), message.get("items", [])
        if kind == "dict":
            return {self.decode(k, followed): self.decode(v, followed) for k, v in items}
        if kind in BUILDERS:
            return BUILDERS[kind]([self.decode(item, followed) for item in items])
        if kind == "tensor":
            return decode_tensor(message, followed)
        if kind == "bytes":
            return base64.b64decode(message["data"])
        if kind == "array" and np.dtype(message["dtype"]).kind in NUMPY:
            flat = np.frombuffer(base64.b64decode(message["data"]), np.dtype(message["dtype"]))
            return flat.reshape(message["shape"]).copy()
        if kind == "random":
            generator = random.Random()
            generator.setstate(self.decode(message["state"]))
            return generator
        if kind == "generator":
            return torch.Generator().set_state(self.decode(message["state"]))
        if kind == "function" and self.call is not None:
            call, number = self.call, int(message["id"])
            return lambda *args, **kwargs: call(number, list(args), kwargs)
        raise ValueError(f"unknown kind {kind!r:.40}")


SEQUENCES = {"tuple": (tuple,), "set": (set,), "frozenset": (frozenset,), "range": (range,)}
BUILDERS: dict[Any, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "range": list,
    "iterator": iter,
    "fraction": lambda pair: Fraction(*pair),
    "complex": lambda pair: complex(*pair),
}


def encode_tensor(value: torch.Tensor, followed: list[torch.Tensor]) -> Message:
    """A tensor's bytes; one that autograd follows gets the next number."""
    kind = str(value.dtype).removeprefix("torch.")
    if kind not in DTYPES:
        raise TypeError(f"a tensor of {kind}, which the grader cannot take over")
    data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    message: dict[str, Any] = {"~": "tensor", "dtype": kind, "shape": list(value.shape)}
    message["data"] = text(data.numpy().tobytes())
    if value.requires_grad:
        message["grad"] = len(followed)
        followed.append(value)
    return message


def decode_tensor(message: Message, followed: list[torch.Tensor]) -> torch.Tensor:
    """The tensor again, a leaf of a graph of its own if it had a number."""
    data = bytearray(base64.b64decode(message["data"]))
    dtype = DTYPES[message["dtype"]]
    tensor = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    tensor = tensor.reshape(message["shape"])
    if "grad" in message:
        tensor.requires_grad_(True)
        followed.append(tensor)
    return tensor


def content(message: Message) -> Message:
    """What a value consists of, to see whether somebody has changed it: its message without the
    numbers of functions and of autograd, and without what is used up by being used (iterators,
    generators of random numbers)."""
    if isinstance(message, list):
        return [content(item) for item in message]
    if not isinstance(message, dict):
        return repr(message)  # repr: NaN is NaN, and 1 is not 1.0
    kind = message["~"]
    if kind in ("function", "iterator", *GENERATORS):
        return kind
    if kind == "range":  # arrives as a list
        return content(message["items"])
    if kind in ("set", "frozenset"):  # in any order
        return [kind, sorted(map(repr, content(message["items"])))]
    return {key: content(part) for key, part in message.items() if key != "grad"}


def text(data: bytes | bytearray) -> str:
    """Bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def a_kind(value: Any) -> str:
    """What a value is, for a sentence.

    >>> a_kind(torch.zeros(2, 3)), a_kind(None), a_kind(1.5)
    ('a tensor of shape (2, 3)', 'None', 'a float')
    """
    if value is None:
        return "None"
    if isinstance(value, (torch.Tensor, np.ndarray)):
        kind = "a tensor" if isinstance(value, torch.Tensor) else "an array"
        return f"{kind} of shape {tuple(value.shape)}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"
