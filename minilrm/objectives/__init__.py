"""The mathematics of reinforcement learning from verifiable rewards, as pure functions on tensors.

Nothing here knows a model, a tokenizer or a training loop: tensors go in, a number comes out. In
the order of use:

    rewards -> group_advantages -> policy_loss(token_logprobs(...), ...) -> aggregate -> a scalar to
    call backward() on

Shapes: P prompts, G completions per prompt, B sequences (B = P * G), T tokens, V vocabulary. `mask`
is 1 (or True) on the tokens that the policy itself sampled, **EOS included**, and 0 on the prompt,
on padding and on text that a tool wrote. Where it is 0 an input may hold anything, NaN included: it
gets a gradient of exactly 0.

Every formula is proved in tests/test_objectives.py and tests/test_policy_gradient.py;
tests/mutants.py lists the famous wrong versions, each of which those tests reject. An equation's
source stands in its docstring with its arXiv number.

`likelihood.py` is what logits say of tokens, `advantages.py` how rewards become advantages,
`policy.py` has the losses that weigh tokens with them, `preferences.py` those of pairs;
`large_vocabulary.py` computes any of them a few tokens at a time.
"""

from minilrm.objectives.advantages import (
    CREDITS,
    NORMALIZATIONS,
    group_advantages,
    process_advantages,
    soft_overlong_penalty,
)
from minilrm.objectives.large_vocabulary import LARGE_VOCABULARY, by_rows
from minilrm.objectives.likelihood import (
    cross_entropy,
    generalized_jsd,
    selected_logprobs,
    token_entropy,
    token_logprobs,
)
from minilrm.objectives.policy import (
    AGGREGATIONS,
    KL_KINDS,
    OBJECTIVES,
    aggregate,
    importance_ratio,
    kl_estimate,
    policy_loss,
    surrogate_terms,
)
from minilrm.objectives.preferences import bradley_terry_loss, dpo_loss

__all__ = [
    "AGGREGATIONS",
    "CREDITS",
    "KL_KINDS",
    "LARGE_VOCABULARY",
    "NORMALIZATIONS",
    "OBJECTIVES",
    "aggregate",
    "bradley_terry_loss",
    "by_rows",
    "cross_entropy",
    "dpo_loss",
    "generalized_jsd",
    "group_advantages",
    "importance_ratio",
    "kl_estimate",
    "policy_loss",
    "process_advantages",
    "selected_logprobs",
    "soft_overlong_penalty",
    "surrogate_terms",
    "token_entropy",
    "token_logprobs",
]
