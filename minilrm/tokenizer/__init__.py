"""Byte-pair encoding: how text becomes the integers that a language model reads.

Sources: Sennrich et al. 2016 (arXiv 1508.07909) for the algorithm; GPT-2 (Radford et al. 2019) for
doing it on bytes, so that every text can be encoded and there is no "unknown" token.

Training (`training.py`). Cut the text into words (`words.py`), write each word as a list of bytes,
then, again and again:
    1. count every pair of neighbours;
    2. take the most frequent pair;
    3. replace it everywhere by one new token.
Encoding (`encoding.py`). Cut the text the same way and, in each word, apply the *earliest learnt*
merge that fits, until none does.

Worked example, words with their counts:  low x5, lot x3, now x2
    pairs      (l,o) 8   (o,w) 7   (o,t) 3   (n,o) 2
    merge 1    (l,o) -> "lo"     now lo|w x5, lo|t x3, n|o|w x2
                                 and (lo,w) 5   (lo,t) 3   (n,o) 2   (o,w) 2
    merge 2    (lo,w) -> "low"   low x5, lo|t x3, n|o|w x2
    encode     "lowlot" = l|o|w|l|o|t  -- merge 1 -->  lo|w|lo|t  -- merge 2 -->  low|lo|t

There are three encoders: `encode_reference` (to read), `encode` (tiktoken, to run), and Hugging
Face `tokenizers` on the `tokenizer.json` that `save` writes (`huggingface.py`; so that others can
open what was trained here). What tests/test_tokenizer.py shows of them: they cut words alike
around each character that Unicode 14 has (the ends of every run of one category, and a sample of
what lies between), and they give the same ids for chosen texts and for random ones of such
characters. Characters that were assigned later are not covered: the three regex engines know
different versions of Unicode. There the ids differ only if a merge was learnt across the cut.

Models of other projects come with tokenizers of their own: `foreign.py` puts any byte-level BPE
behind the same interface, `chat.py` its chat template.

Ids:  0..31 special tokens | 32..287 the 256 bytes | 288.. the merges, in the order of learning.
"""

from minilrm.tokenizer.encoding import StreamDecoder, Tokenizer, from_huggingface
from minilrm.tokenizer.foreign import ForeignTokenizer
from minilrm.tokenizer.huggingface import BYTE_TO_CHAR, from_chars, to_chars
from minilrm.tokenizer.training import train_bpe
from minilrm.tokenizer.words import (
    EOS,
    PAD,
    PATTERN,
    SPECIALS,
    Pair,
    clean_text,
    merge_pair,
    split_bytes,
    split_words,
)

__all__ = [
    "BYTE_TO_CHAR",
    "EOS",
    "ForeignTokenizer",
    "PAD",
    "PATTERN",
    "SPECIALS",
    "Pair",
    "StreamDecoder",
    "Tokenizer",
    "clean_text",
    "from_chars",
    "from_huggingface",
    "merge_pair",
    "split_bytes",
    "split_words",
    "to_chars",
    "train_bpe",
]
