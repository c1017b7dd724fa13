"""Chat: a prompt put as the user's turn of a conversation, in the model's own template.

The template is a Jinja text beside the tokenizer; `transformers` renders it, as it does for all who
use the model. Around the user's words it writes special tokens ("<|im_start|>user"). The user's
words must not make any, and in the rendered text nobody can tell whose they are. So the template is
rendered a second time, around a mark: what stands before and behind the mark is the template's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from minilrm.errors import UserError

MARK = "\ue000the user's words\ue001"  # private characters, which no text has a use for
NAMED = ("bos_token", "eos_token", "unk_token", "pad_token")


class Chat:
    """The chat template of a tokenizer.

    definition: the text of `tokenizer.json`; beside: the texts of the files beside it. encode: the
    tokenizer's own. UserError if there is no template, if it does not show what the user says, or
    if the package `transformers` is not installed.
    """

    def __init__(self, definition: str, beside: Mapping[str, str], encode: Any, control: set[int]):
        self.encode_text, self.control = encode, control
        config = read_config(beside)
        template = beside.get("chat_template.jinja") or default_template(config)
        if not template:
            raise UserError("this model has no chat template; leave --chat out")
        self.library = library(definition, template, config)
        self.before, mark, self.behind = self.render(MARK).partition(MARK)
        if not mark or MARK in self.behind:
            raise UserError("the model's chat template does not say what the user says, or twice")

    def render(self, text: str) -> str:
        """A conversation that the user has opened with a text, up to where the model answers."""
        turns = [{"role": "user", "content": text}]
        try:
            rendered: str = self.library.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # a template can raise whatever it likes
            raise UserError(f"the model's chat template cannot be rendered: {error}") from None
        return rendered

    def encode(self, text: str) -> list[int]:
        """The ids of that conversation: those of the rendered text, as long as its special tokens
        are the template's own; else the template and the text encoded apart, the text as ordinary
        text."""
        whole = self.encode_text(self.render(text), allow_special=True)
        before, behind = (
            self.encode_text(x, allow_special=True) for x in (self.before, self.behind)
        )
        if self.specials_in(whole) == self.specials_in(before + behind):
            return whole
        return [*before, *self.encode_text(text), *behind]

    def specials_in(self, ids: list[int]) -> list[int]:
        return [i for i in ids if i in self.control]


def read_config(beside: Mapping[str, str]) -> dict[str, Any]:
    """The contents of tokenizer_config.json; empty where there is none that can be read."""
    try:
        config = json.loads(beside.get("tokenizer_config.json", "{}"))
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}


def default_template(config: Mapping[str, Any]) -> str | None:
    """The template of tokenizer_config.json: its only one, or that called "default"."""
    found = config.get("chat_template")
    if isinstance(found, list):
        named = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def library(definition: str, template: str, config: Mapping[str, Any]) -> Any:
    """The tokenizer of `transformers` with this template, which may name the special tokens."""
    try:
        import tokenizers
        import transformers
    except ImportError:
        raise UserError(
            "--chat needs the package transformers, which renders the template; install it: "
            'pip install -e ".[real]"'
        ) from None
    named = {}
    for name in NAMED:
        token = config.get(name)
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            named[name] = token
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer.from_str(definition), chat_template=template, **named
    )
