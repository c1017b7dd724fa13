"""Learning from pairs: which of two answers is better.

`bradley_terry_loss` fits scores to such verdicts; `dpo_loss` fits the policy itself, which is then
its own reward model.
"""

import torch.nn.functional as F
from torch import Tensor


def bradley_terry_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Scores of the better and of the worse answers, [B] each -> a number.

        - mean log sigma(s_chosen - s_rejected)                 (Bradley and Terry 1952; 2203.02155)

    Only differences count: scores have no zero.

    >>> round(bradley_terry_loss(torch.tensor([2.0]), torch.tensor([0.0])).item(), 6)
    0.126928
    """
    return -F.logsigmoid(chosen - rejected).mean()


def dpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    beta: float = 0.1,
) -> tuple[Tensor, Tensor]:
    """Direct preference optimisation (2305.18290, eq. 7): four [B] -> (loss, margins [B]).

        - mean log sigma(beta [(log pi - log pi_ref)(chosen) - (log pi - log pi_ref)(rejected)])

    The arguments are log-probabilities of whole completions, *summed* over their tokens: the
    optimum of "reward minus beta KL" is stated for sequences, and a mean would weigh the tokens of
    short answers more. The reference belongs in it: without it, nothing holds the policy back, and
    both answers may become unlikely as long as the worse one falls faster. margins: the
    differences in the brackets, times beta, without gradient; above 0 the pair is ordered as it
    should be.

    >>> one, two = torch.tensor([2.0]), torch.tensor([-1.0])
    >>> loss, margins = dpo_loss(one, two, 0 * one, 0 * two)
    >>> round(loss.item(), 6), round(margins.item(), 6)
    (0.554355, 0.3)
    """
    margins = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
    return -F.logsigmoid(margins).mean(), margins.detach()
