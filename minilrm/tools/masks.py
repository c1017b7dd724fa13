"""Which tokens of a text a writer chose, and which a tool inserted: of texts that a model learns to
imitate. (Of what a model samples itself, the sampler knows: `Completion.mask`.)

    <tool:calculator> 12*7 </tool>  <result> 84 </result>  #### 84
    1                 1    1        0        0  0          1    1

Only special tokens are tags. A result that does not end goes on to the end of the text.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from minilrm.tools.calls import RESULT_TAGS, Tokens


def inserted(tokenizer: Tokens, ids: Tensor) -> Tensor:
    """True on each result that stands in a row, its tags included: ids [B, T] -> [B, T].

    A token is inside if the last tag up to it, its own closing tag not counted, is an opening one.
    """
    opening, closing = (tokenizer.special_ids.get(tag, -2) for tag in RESULT_TAGS)
    place = torch.arange(1, ids.shape[-1] + 1, device=ids.device)
    opened = (place * (ids == opening)).cummax(-1).values
    closed = (place * (ids == closing)).cummax(-1).values.roll(1, -1)
    closed[..., 0] = 0
    return opened > closed


def sampled_mask(tokenizer: Tokens, ids: Sequence[int]) -> list[int]:
    """1 on what the writer of a text chose, 0 on what a tool inserted: [T] -> [T]."""
    return (~inserted(tokenizer, torch.tensor([list(ids)])))[0].long().tolist()
